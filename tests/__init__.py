"""The instrument tested: each test is a theorem. The folders mirror src/probes."""
