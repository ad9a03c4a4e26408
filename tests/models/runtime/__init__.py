"""Tests of memory and threads."""
