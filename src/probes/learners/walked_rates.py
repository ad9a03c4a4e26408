"""What walks tell about rates: which is best so far, and which may become better."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from probes.learners.rate_lattice import Curve, lattice_rate, value_at
from probes.learners.search_effort import SearchLimits

TOLERANCE = 0.002
"""A share of the criterion. Points that differ by less are equally good; of these the
one with the fewest passes is chosen, because it costs least."""
NEGLIGIBLE, GROWING = 1e-4, 1.5
"""A walk has only begun if its last doubling gained this share of the criterion, and
so many times what the doubling before it gained."""


@dataclass(kw_only=True)
class WalkedRates:
    """The curves of a search, each of a rate, by its step of the lattice.

    Attributes:
        start: The criterion before training.
        limits: Where the search ends.
        resolution: The largest difference of the criterion that does not matter,
            besides the share ``TOLERANCE``.
        curves: The curve of each lattice step walked so far. Walks of earlier searches
            cost nothing.
        middle: The step from which the search walks outwards.
    """

    start: float
    limits: SearchLimits
    resolution: float = 0.0
    curves: dict[int, Curve] = field(default_factory=dict)
    middle: int = 0

    @property
    def rates(self) -> list[float]:
        """The rates walked, ascending."""
        return [lattice_rate(step) for step in sorted(self.curves)]

    def walked(self) -> Iterator[tuple[float, list[tuple[int, float]]]]:
        """Yield each rate with its curve, ascending."""
        for step in sorted(self.curves):
            yield lattice_rate(step), sorted(self.curves[step].items())

    def is_better(self, value: float, least: float) -> bool:
        """Check that a value is less than another by more than does not matter."""
        return self.within(value) < least

    def within(self, least: float) -> float:
        """Return the largest value that is as good as the least one."""
        return max(least * (1 + TOLERANCE), least + self.resolution)

    def least(self, step: int) -> float:
        """Return the least value at a rate."""
        return min(self.curves[step].values())

    def fewest(self, step: int, least: float | None = None) -> int:
        """Find the fewest passes at which a walk is as good as its best point."""
        goal = self.within(self.least(step) if least is None else least)
        return min(n for n, value in self.curves[step].items() if value <= goal)

    def has_effect(self, step: int) -> bool:
        """Check that training at a rate changes the criterion.

        If it does not, the optimum is not to train, and lower rates do nothing either.
        """
        values = self.curves[step].values()
        return max(values) > self.within(self.start) or any(
            self.is_better(value, self.start) for value in values
        )

    def is_ahead(self, step: int, best: int) -> bool:
        """Check whether a neighbour is as good as the best one or better on its way.

        It is compared at the latest equal product of rate and passes, until it has gone
        past the best one's optimum.
        """
        curve, other = self.curves[step], self.curves[best]
        ratio = lattice_rate(step) / lattice_rate(best)
        done = max(curve)
        if done * ratio >= self.fewest(best) * (2 if ratio > 1 else 1):
            return False
        there = value_at(other, done * ratio, self.start)
        return self.is_better(curve[done], there)

    def open_steps(self) -> list[int]:
        """List the rates that can go on: neither failed nor at the limit."""
        return [
            step
            for step, curve in self.curves.items()
            if math.isfinite(curve[max(curve)]) and max(curve) < self.limits.passes
        ]

    def promise(self, step: int) -> float:
        """Forecast the criterion after the next doubling of a walk."""
        gain, is_growing = self.last_gain(step)
        curve = self.curves[step]
        return max(0.0, curve[max(curve)] - max(0.0, gain) * (2 if is_growing else 1))

    def last_gain(self, step: int) -> tuple[float, bool]:
        """Measure what the last doubling gained, and whether doublings gain more.

        Learning that has just begun gains twice as much with every doubling.
        """
        curve = self.curves[step]
        done = max(curve)
        quarter, half = (value_at(curve, done / n, self.start) for n in (4, 2))
        gain = half - curve[done]
        matters = gain > NEGLIGIBLE * abs(curve[done])
        return gain, matters and gain > GROWING * (quarter - half)

    def is_confirmed(self, step: int) -> bool:
        """Check that twice as many passes as the optimum's are no better, or fail.

        A walk that gains little, but more with every doubling, has only begun.
        """
        curve = self.curves[step]
        done = max(curve)
        if not math.isfinite(curve[done]):
            return True
        return done >= 2 * self.fewest(step) and not self.last_gain(step)[1]

    def best_step(self) -> int:
        """Find the rate with the least value; of equals, that with fewest passes.

        Of those, the nearest to where the search began. Far from there a criterion may
        not change any more, as the direction of a small update does not.
        """
        least = min(map(self.least, self.curves))
        equal = [s for s in self.curves if self.least(s) <= self.within(least)]
        return min(
            equal, key=lambda s: (self.fewest(s, least), abs(s - self.middle), s)
        )
