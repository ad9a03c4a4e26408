"""Tests of engines, the store and the observer."""
