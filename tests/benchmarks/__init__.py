"""Speed, run without workers: make bench."""
