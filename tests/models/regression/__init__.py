"""Tests of networks for regression tasks."""
