"""Tests of training on demonstrations."""
