"""Search for the learning rate and the number of passes that minimise a criterion.

The search starts at a rate that follows from the model, and walks outwards. It trains
first what promises most, and stops what has fallen behind. Schedules other than a
constant rate are not searched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from probes.learners.rate_bracket import Effect, begin_where_training_acts
from probes.learners.rate_lattice import (
    COARSE,
    FINE,
    Curve,
    lattice_rate,
    nearest_step,
    value_at,
)
from probes.learners.search_effort import SearchLimits

TOLERANCE = 0.002
"""A share of the criterion. Points that differ by less are equally good; of these the
one with the fewest passes is chosen, because it costs least."""
FIRST_PASSES = 4
"""Passes at which a new rate is judged for the first time."""
NEGLIGIBLE, GROWING = 1e-4, 1.5
"""A walk has only begun if its last doubling gained this share of the criterion, and
so many times what the doubling before it gained."""
FEW_PASSES = 8
"""With an optimum at fewer passes, the next number of passes is a large step. Then the
rate is searched in fine steps."""


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """The result of a search.

    Attributes:
        rate: The learning rate.
        passes: Passes over the demonstrations.
        value: The criterion there.
        is_interior: Whether rates on both sides and twice as many passes are no better.
        edge: Where it may lie further on, in words; empty if it is interior.
        gain: How much the last doubling of the passes at this rate has improved the
            criterion; what another doubling would gain is not known.
    """

    rate: float
    passes: int
    value: float
    is_interior: bool
    edge: str
    gain: float


@dataclass(kw_only=True)
class RateSearch:
    """A best-first search over a lattice of rates.

    Every rate is walked in doublings: 4, 8, 16, … passes. The walk that promises most
    goes on, until none promises more than the best point found. A walk promises its
    last value less what its last doubling gained, or less twice that if doublings gain
    more and more. Then the neighbours of the best rate are walked. A lower rate follows
    nearly the path of a higher one, and needs more passes (gradient flow), so it goes
    on only while it is ahead at an equal product of rate and passes.

    Attributes:
        walk: Trains at a rate up to a number of passes, and returns the criterion at
            the passes at which it was read. A longer walk goes on where it stood.
        start: The criterion before training.
        limits: Where the search ends.
        resolution: The largest difference of the criterion that does not matter,
            besides the share ``TOLERANCE``.
        has_vanished: Whether a rate is so low that no weight has changed. Its criterion
            is infinite, so that it is not chosen.
        curves: The curve of each lattice step walked so far. Walks of earlier searches
            cost nothing.
    """

    walk: Callable[[float, int], Curve]
    start: float
    limits: SearchLimits
    resolution: float = 0.0
    has_vanished: Callable[[float], bool] = lambda rate: False
    curves: dict[int, Curve] = field(default_factory=dict)

    def find(self, centre: float) -> Optimum:
        """Search from a rate outwards.

        Args:
            centre: A rate near the largest useful one, such as Polyak's.
        """
        self.curves = {step: self._usable(c) for step, c in self.curves.items()}
        first = nearest_step(centre)
        self._middle = self._climbed(
            begin_where_training_acts(self._effect_at, first, coarse=COARSE)
        )
        self._spent = self._walked()
        for offset in (0, -COARSE, COARSE):
            self._walk_to(self._middle + offset, FIRST_PASSES)
        while (pending := self._next_walk()) and not self._is_spent():
            self._walk_to(*pending)
        return self._optimum()

    def _effect_at(self, step: int) -> Effect:
        """Train at a rate for a few passes, unless it has been walked; see its effect.

        A gain or a harm that does not matter is no effect.
        """
        if step not in self.curves:
            self._walk_to(step, FIRST_PASSES)
        if self.has_vanished(lattice_rate(step)):
            return "nothing"
        if any(self._is_better(v, self.start) for v in self.curves[step].values()):
            return "better"
        return "worse" if self._has_effect(step) else "nothing"

    def _climbed(self, step: int) -> int:
        """Raise a rate that helps while a few passes at the next one help more."""
        for _ in range(self.limits.rates):
            higher = step + COARSE
            if self._effect_at(step) != "better" or self._effect_at(higher) != "better":
                break
            if not self._is_better(self._at_first(higher), self._at_first(step)):
                break
            step = higher
        return step

    def _at_first(self, step: int) -> float:
        """Return the least criterion after a few passes at a rate."""
        curve = self.curves[step]
        few = max(FIRST_PASSES, min(curve))
        return min(value for n, value in curve.items() if n <= few)

    def _does_nothing(self) -> bool:
        """Check that training changes nothing at any rate walked."""
        return all(self._effect_at(step) == "nothing" for step in self.curves)

    @property
    def rates(self) -> list[float]:
        """The rates walked, ascending."""
        return [lattice_rate(step) for step in sorted(self.curves)]

    def walked(self) -> Iterator[tuple[float, list[tuple[int, float]]]]:
        """Yield each rate with its curve, ascending."""
        for step in sorted(self.curves):
            yield lattice_rate(step), sorted(self.curves[step].items())

    def _walk_to(self, step: int, passes: int) -> None:
        passes = min(max(passes, self.limits.fewest), self.limits.passes)
        self.curves[step] = self._usable(self.walk(lattice_rate(step), passes))

    def _usable(self, curve: Curve) -> Curve:
        """Leave out numbers of passes that may not be chosen."""
        return {n: value for n, value in curve.items() if n >= self.limits.fewest}

    def _walked(self) -> tuple[int, int]:
        """Count the passes and the rates."""
        return sum(map(max, self.curves.values())), len(self.curves)

    def _is_spent(self) -> bool:
        passes, rates = (
            now - before
            for now, before in zip(self._walked(), self._spent, strict=True)
        )
        return passes >= self.limits.total or rates >= self.limits.rates

    def _next_walk(self) -> tuple[int, int] | None:
        """Choose the rate to walk on, and how far; None if none can be better."""
        if self._does_nothing():
            return None
        best = self._best_step()
        open_steps = self._open_steps()
        promising = min(open_steps, key=self._promise, default=None)
        if promising is not None and self._is_better(
            self._promise(promising), self._least(best)
        ):
            return promising, 2 * max(self.curves[promising])
        if best in open_steps and not self._is_confirmed(best):
            return best, 2 * max(self.curves[best])
        return self._unsettled_neighbour(best)

    def _unsettled_neighbour(self, best: int) -> tuple[int, int] | None:
        """Choose a neighbour of the best rate that might still be better."""
        n_passes = self._fewest(best)
        is_fine = n_passes < FEW_PASSES or self.limits.are_fixed
        strides = (COARSE, FINE) if is_fine else (COARSE,)
        signs = (1, -1) if self._has_effect(best) else (1,)
        for step in (best + sign * stride for stride in strides for sign in signs):
            if step not in self.curves:
                return step, FIRST_PASSES
            if step in self._open_steps() and self._is_ahead(step, best):
                return step, 2 * max(self.curves[step])
        return None

    def _has_effect(self, step: int) -> bool:
        """Check that training at a rate changes the criterion.

        If it does not, the optimum is not to train, and lower rates do nothing either.
        """
        values = self.curves[step].values()
        return max(values) > self._within(self.start) or any(
            self._is_better(value, self.start) for value in values
        )

    def _is_ahead(self, step: int, best: int) -> bool:
        """Check whether a neighbour is as good as the best one or better on its way.

        It is compared at the latest equal product of rate and passes, until it has gone
        past the best one's optimum.
        """
        curve, other = self.curves[step], self.curves[best]
        ratio = lattice_rate(step) / lattice_rate(best)
        done = max(curve)
        if done * ratio >= self._fewest(best) * (2 if ratio > 1 else 1):
            return False
        there = value_at(other, done * ratio, self.start)
        return self._is_better(curve[done], there)

    def _open_steps(self) -> list[int]:
        """List the rates that can go on: neither failed nor at the limit."""
        return [
            step
            for step, curve in self.curves.items()
            if math.isfinite(curve[max(curve)]) and max(curve) < self.limits.passes
        ]

    def _promise(self, step: int) -> float:
        """Forecast the criterion after the next doubling of a walk."""
        gain, is_growing = self._last_gain(step)
        curve = self.curves[step]
        return max(0.0, curve[max(curve)] - max(0.0, gain) * (2 if is_growing else 1))

    def _last_gain(self, step: int) -> tuple[float, bool]:
        """Measure what the last doubling gained, and whether doublings gain more.

        Learning that has just begun gains twice as much with every doubling.
        """
        curve = self.curves[step]
        done = max(curve)
        quarter, half = (value_at(curve, done / n, self.start) for n in (4, 2))
        gain = half - curve[done]
        matters = gain > NEGLIGIBLE * abs(curve[done])
        return gain, matters and gain > GROWING * (quarter - half)

    def _best_step(self) -> int:
        """Find the rate with the least value; of equals, that with fewest passes.

        Of those, the nearest to where the search began. Far from there a criterion may
        not change any more, as the direction of a small update does not.
        """
        least = min(map(self._least, self.curves))
        equal = [s for s in self.curves if self._least(s) <= self._within(least)]
        return min(
            equal, key=lambda s: (self._fewest(s, least), abs(s - self._middle), s)
        )

    def _least(self, step: int) -> float:
        return min(self.curves[step].values())

    def _fewest(self, step: int, least: float | None = None) -> int:
        """Find the fewest passes at which a walk is as good as its best point."""
        goal = self._within(self._least(step) if least is None else least)
        return min(n for n, value in self.curves[step].items() if value <= goal)

    def _within(self, least: float) -> float:
        """Return the largest value that is as good as the least one."""
        return max(least * (1 + TOLERANCE), least + self.resolution)

    def _is_better(self, value: float, least: float) -> bool:
        return self._within(value) < least

    def _is_confirmed(self, step: int) -> bool:
        """Check that twice as many passes as the optimum's are no better, or fail.

        A walk that gains little, but more with every doubling, has only begun.
        """
        curve = self.curves[step]
        done = max(curve)
        if not math.isfinite(curve[done]):
            return True
        return done >= 2 * self._fewest(step) and not self._last_gain(step)[1]

    def _optimum(self) -> Optimum:
        best = self._best_step()
        least = min(map(self._least, self.curves))
        passes, curve = self._fewest(best, least), self.curves[best]
        edges = [*self._edges_in_passes(best), *self._edges_in_rate(best)]
        if self._does_nothing():
            edges = [f"training changes nothing up to rate {max(self.rates):g}"]
        last = max(curve)
        earlier = min(v for n, v in {0: self.start, **curve}.items() if n <= last / 2)
        return Optimum(
            rate=lattice_rate(best),
            passes=passes,
            value=curve[passes],
            is_interior=not edges,
            edge="; ".join(edges),
            gain=max(0.0, earlier - self._least(best)),
        )

    def _edges_in_passes(self, best: int) -> Iterable[str]:
        if not self.limits.are_fixed and not self._is_confirmed(best):
            done = max(self.curves[best])
            yield f"the criterion still falls after {done} passes"

    def _edges_in_rate(self, best: int) -> Iterable[str]:
        neighbours = [(best + COARSE, "higher")]
        if self._has_effect(best):
            neighbours.append((best - COARSE, "lower"))
        for step, word in neighbours:
            if step not in self.curves or (
                step in self._open_steps() and self._is_ahead(step, best)
            ):
                yield f"a {word} rate may be better than {lattice_rate(best):g}"
