"""The instrument tested: each test a theorem."""
