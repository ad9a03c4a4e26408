"""Tests of claims as a whole, on worlds and answers that are known."""
