"""Tests of verdicts and their statistics."""
