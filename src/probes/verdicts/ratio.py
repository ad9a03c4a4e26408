"""Fieller's interval of a ratio of two crossed means.

Reference: Fieller 1954, *J. R. Stat. Soc. B* 16:175.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from probes.measurement import Array
from probes.verdicts.crossed_means import estimate_mean

FARTHEST_RATIO = 1e6


def ratio_interval(
    above: Array, below: Array, *, level: float, widening: float = 0.0
) -> tuple[float, float]:
    """Compute Fieller's interval of mean(above) / mean(below), both crossed.

    θ belongs to the interval when the mean of above − θ·below is compatible with 0: the
    error of the denominator counts. Assumes mean(below) > 0, and that it is clearly so;
    bounds further than FARTHEST_RATIO from the estimate are infinite.
    """
    centre = float(above.mean() / below.mean())

    def end(theta: float, side: int) -> float:
        """Give the end of the contrast's interval that is 0 at a bound."""
        ends = estimate_mean(above - theta * below).interval(level, widening=widening)
        return float(ends[side])

    def bound(direction: float, side: int) -> float:
        inside = end(centre, side)
        step = abs(inside) / float(below.mean())
        if step == 0.0:
            return centre
        if not math.isfinite(step):
            return direction * math.inf
        while direction * (outside := end(centre + direction * step, side)) > 0.0:
            step *= 2
            if not step <= FARTHEST_RATIO:
                return direction * math.inf
        return centre + direction * _root(
            lambda x: end(centre + direction * x, side), step, inside, outside
        )

    return bound(-1.0, 0), bound(1.0, 1)


def _root(f: Callable[[float], float], x: float, at_0: float, at_x: float) -> float:
    """Find where a function changes its sign between 0 and x, by the Illinois rule."""
    low, high = (0.0, at_0), (x, at_x)
    for _ in range(100):
        if high[1] == low[1]:
            break
        middle = high[0] - high[1] * (high[0] - low[0]) / (high[1] - low[1])
        value = f(middle)
        if abs(middle - high[0]) <= 1e-12 * x or value == 0.0:
            return middle
        low = high if value * high[1] < 0.0 else (low[0], low[1] / 2)
        high = (middle, value)
    return high[0]
