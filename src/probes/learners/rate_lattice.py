"""The lattice of rates that a search walks, and the curve of a walk at one of them."""

from __future__ import annotations

import math
from collections.abc import Mapping

Curve = Mapping[int, float]
"""A criterion by the number of passes done; infinite where training has failed."""

COARSE, FINE = 2, 1
"""Steps on the lattice of rates, in quarters of a decade."""


def lattice_rate(step: int) -> float:
    """Return the rate at a step of a quarter of a decade: 1, 1.8, 3, 5.6, 10."""
    decade, quarter = divmod(step, 4)
    return float(f"{(1.0, 1.8, 3.0, 5.6)[quarter]}e{decade}")


def step_of(rate: float) -> int:
    """Find the step of a rate on the lattice."""
    return round(4 * math.log10(rate))


def nearest_step(rate: float) -> int:
    """Find the coarse step on the lattice that is nearest to a rate."""
    return 2 * round(2 * math.log10(rate))


def value_at(curve: Curve, passes: float, start: float) -> float:
    """Interpolate a curve in the number of passes; ``start`` is its value at 0."""
    known = {0: start, **curve}
    below = max(n for n in known if n <= passes)
    above = min((n for n in known if n >= passes), default=below)
    if above == below:
        return known[below]
    share = (passes - below) / (above - below)
    return known[below] + share * (known[above] - known[below])
