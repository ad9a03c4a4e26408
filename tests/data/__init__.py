"""Tests of rows, templates and tasks."""
