"""Tests of the command ``probes``."""
