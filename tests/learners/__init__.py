"""Tests of what adapts to demonstrations."""
