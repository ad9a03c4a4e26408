"""Search for the learning rate and the number of passes that minimise a criterion.

The search starts at a rate that follows from the model, and walks outwards. It trains
first what promises most, and stops what has fallen behind. Schedules other than a
constant rate are not searched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from probes.learners.rate_bracket import Effect, begin_where_training_acts
from probes.learners.rate_lattice import (
    COARSE,
    FINE,
    Curve,
    lattice_rate,
    nearest_step,
)
from probes.learners.walked_rates import WalkedRates

FIRST_PASSES = 4
"""Passes at which a new rate is judged for the first time."""
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
class RateSearch(WalkedRates):
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
        has_vanished: Whether a rate is so low that no weight has changed. Its criterion
            is infinite, so that it is not chosen.
    """

    walk: Callable[[float, int], Curve]
    has_vanished: Callable[[float], bool] = lambda rate: False

    def find(self, centre: float) -> Optimum:
        """Search from a rate outwards.

        Args:
            centre: A rate near the largest useful one, such as Polyak's.
        """
        self.curves = {step: self._usable(c) for step, c in self.curves.items()}
        self.middle = first = nearest_step(centre)
        if self._stays_at_goal(first):
            return self._optimum()
        self.middle = self._climbed(
            begin_where_training_acts(self._effect_at, first, coarse=COARSE)
        )
        self._spent = self._walked()
        for offset in (0, -COARSE, COARSE):
            self._walk_to(self.middle + offset, FIRST_PASSES)
        while (pending := self._next_walk()) and not self._is_spent():
            self._walk_to(*pending)
        return self._optimum()

    def _stays_at_goal(self, step: int) -> bool:
        """Check that the criterion is as good as 0 before training, and after it.

        No rate can be better then, so there is nothing to search for.
        """
        is_at_goal = self.start <= self.resolution
        return (
            is_at_goal
            and self._effect_at(step) == "nothing"
            and not self.has_vanished(lattice_rate(step))
        )

    def _effect_at(self, step: int) -> Effect:
        """Train at a rate for a few passes, unless it has been walked; see its effect.

        A gain or a harm that does not matter is no effect.
        """
        if step not in self.curves:
            self._walk_to(step, FIRST_PASSES)
        if self.has_vanished(lattice_rate(step)):
            return "nothing"
        if any(self.is_better(v, self.start) for v in self.curves[step].values()):
            return "better"
        return "worse" if self.has_effect(step) else "nothing"

    def _climbed(self, step: int) -> int:
        """Raise a rate that helps while a few passes at the next one help more."""
        for _ in range(self.limits.rates):
            higher = step + COARSE
            if self._effect_at(step) != "better" or self._effect_at(higher) != "better":
                break
            if not self.is_better(self._at_first(higher), self._at_first(step)):
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
        best = self.best_step()
        open_steps = self.open_steps()
        promising = min(open_steps, key=self.promise, default=None)
        if promising is not None and self.is_better(
            self.promise(promising), self.least(best)
        ):
            return promising, 2 * max(self.curves[promising])
        if best in open_steps and not self.is_confirmed(best):
            return best, 2 * max(self.curves[best])
        return self._unsettled_neighbour(best)

    def _unsettled_neighbour(self, best: int) -> tuple[int, int] | None:
        """Choose a neighbour of the best rate that might still be better."""
        n_passes = self.fewest(best)
        is_fine = n_passes < FEW_PASSES or self.limits.are_fixed
        strides = (COARSE, FINE) if is_fine else (COARSE,)
        signs = (1, -1) if self.has_effect(best) else (1,)
        for step in (best + sign * stride for stride in strides for sign in signs):
            if step not in self.curves:
                return step, FIRST_PASSES
            if step in self.open_steps() and self.is_ahead(step, best):
                return step, 2 * max(self.curves[step])
        return None

    def _optimum(self) -> Optimum:
        best = self.best_step()
        least = min(map(self.least, self.curves))
        passes, curve = self.fewest(best, least), self.curves[best]
        edges = [*self._edges_in_passes(best), *self._edges_in_rate(best)]
        if self._stays_at_goal(best):
            edges = []
        elif self._does_nothing():
            edges = [f"training changes nothing up to rate {max(self.rates):g}"]
        last = max(curve)
        earlier = min(v for n, v in {0: self.start, **curve}.items() if n <= last / 2)
        return Optimum(
            rate=lattice_rate(best),
            passes=passes,
            value=curve[passes],
            is_interior=not edges,
            edge="; ".join(edges),
            gain=max(0.0, earlier - self.least(best)),
        )

    def _edges_in_passes(self, best: int) -> Iterable[str]:
        if not self.limits.are_fixed and not self.is_confirmed(best):
            done = max(self.curves[best])
            yield f"the criterion still falls after {done} passes"

    def _edges_in_rate(self, best: int) -> Iterable[str]:
        neighbours = [(best + COARSE, "higher")]
        if self.has_effect(best):
            neighbours.append((best - COARSE, "lower"))
        for step, word in neighbours:
            if step not in self.curves or (
                step in self.open_steps() and self.is_ahead(step, best)
            ):
                yield f"a {word} rate may be better than {lattice_rate(best):g}"
