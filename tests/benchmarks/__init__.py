"""Speed next to peers; make bench runs it."""
