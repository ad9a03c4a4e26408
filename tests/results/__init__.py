"""Tests of rows, their files and their comparison."""
