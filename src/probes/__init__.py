"""Tests whether in-context learning is gradient descent."""
