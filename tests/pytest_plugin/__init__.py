"""Tests of whole runs through pytest."""
