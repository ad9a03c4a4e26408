"""Tests of the written-out Llama family."""
