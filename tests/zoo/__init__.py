"""Tests of every architecture: a zoo of small random models, built at test time."""
