"""The rate at which a search begins: one at which training has an effect.

Far below the useful rates training changes nothing, and "do not train" looks best.
Far above them every rate diverges. Neither is a place to search from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

Effect = Literal["nothing", "better", "worse"]
"""What training at a rate does to a criterion. Divergence is "worse"."""

MOST_STRIDES = 6
"""Strides of 1, 2, 4, … coarse steps away from the first rate. Six of half a decade
lead 31 decades away."""


def begin_where_training_acts(
    effect_at: Callable[[int], Effect], first: int, *, coarse: int
) -> int:
    """Find a step of the lattice from which a search may walk outwards.

    From a first rate at which training is of no use, strides that double lead to a rate
    at which it is: upwards if training changes nothing there, downwards if it harms.
    Where one rate is too low and another too high, the interval is halved.

    Args:
        effect_at: Trains at a step for a few passes, and says what that does.
        first: The first step that is tried.
        coarse: The steps between neighbours, of which all strides are multiples.

    Returns:
        A step at which training helps, or else the lowest one found at which it harms,
        beside one at which it changes nothing. The last one tried if it does the same
        everywhere.
    """
    effect = effect_at(first)
    if effect == "better":
        return first
    sign, near, stride = (1 if effect == "nothing" else -1), first, coarse
    for _ in range(MOST_STRIDES):
        far = near + sign * stride
        met = effect_at(far)
        if met != effect:
            low, high = min(near, far), max(near, far)
            return _between(effect_at, low, high, coarse)
        near, stride = far, 2 * stride
    return near


def _between(
    effect_at: Callable[[int], Effect], low: int, high: int, coarse: int
) -> int:
    """Halve an interval of which one end is too low or too high, or the other helps."""
    for end in (low, high):
        if effect_at(end) == "better":
            return end
    while high - low > coarse:
        middle = low + (high - low) // (2 * coarse) * coarse
        effect = effect_at(middle)
        if effect == "better":
            return middle
        low, high = (middle, high) if effect == "nothing" else (low, middle)
    return high
