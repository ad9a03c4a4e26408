"""Benchmarks in small: PROBES_QUICK=1 proves that they work and measures nothing."""

from __future__ import annotations

import os

QUICK = bool(os.environ.get("PROBES_QUICK"))


def narrowed(whole: int, small: int) -> int:
    """Choose a size."""
    return small if QUICK else whole


def least(rounds: int) -> int:
    """Choose the number of repetitions."""
    return 1 if QUICK else rounds
