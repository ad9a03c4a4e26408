"""Tests of requests and of what was answered."""
