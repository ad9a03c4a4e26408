"""Networks that learners run on: linear self-attention, and causal language models."""
