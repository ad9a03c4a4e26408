"""Tests of the files of a model."""
