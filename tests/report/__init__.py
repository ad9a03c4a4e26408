"""Tests of the drawings of rows."""
