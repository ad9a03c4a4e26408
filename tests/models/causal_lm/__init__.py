"""Tests of Hugging Face causal language models."""
