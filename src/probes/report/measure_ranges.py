"""Keep drawn intervals inside the range that a measure can take.

An interval of Student's t knows nothing of that range: the interval of an accuracy may
reach below 0 or above 1. The tests do not need the ends beyond the range, and a reader
should not see them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

UNIT_INTERVAL = (0.0, 1.0)
RANGES = {
    "fraction": UNIT_INTERVAL,
    "probability": UNIT_INTERVAL,
    "similarity": (-1.0, 1.0),
    "cosine": (-1.0, 1.0),
    "correlation": (-1.0, 1.0),
}
SHARE = "share of the way"
EXPLAINED = ("R²", "explained share")
SIGNED = ("difference", "gain of", "lead of", "excess", "nearer")
UNBOUNDED = ("distance", "order sensitivity")
"""Never negative, and without a largest value: deviations are summed over tokens."""


def range_of(name: str, unit: str) -> tuple[float, float]:
    """Return the least and the largest value that a measure can take.

    Args:
        name: The name of the effect, such as ``accuracy: GD``.
        unit: Its unit.

    Returns:
        Infinite ends where nothing is known.
    """
    if SHARE in name:
        return -math.inf, math.inf
    if any(word in name for word in EXPLAINED):
        return (-math.inf, 1.0) if "difference" not in name else (-math.inf, math.inf)
    least, most = RANGES.get(unit, (-math.inf, math.inf))
    if any(word in name for word in SIGNED):
        bound = most - least if math.isfinite(most) else math.inf
        return -bound, bound
    if any(word in name for word in UNBOUNDED):
        return 0.0, math.inf
    return least, most


def interval_of(effect: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return the interval of an effect, inside the range of its measure.

    An end is never moved past the effect itself.
    """
    least, most = range_of(str(effect["name"]), str(effect["unit"]))
    value, low, high = effect["value"], effect["low"], effect["high"]
    if value is None:
        return low, high
    return (
        low if low is None else max(low, min(least, value)),
        high if high is None else min(high, max(most, value)),
    )
