"""Draw crossed values with a known mean, and with the spread of real observations.

A value is mean + set + query + rest. A simulation is defined by the shares of the last
three in the variance, and by the shape of their distribution. The study sets the mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from probes.measurement import Array

Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Shares of sets, queries and rest in the variance of a value; they sum to 1."""

    sets: float
    queries: float
    rest: float

    def error(self, n_sets: int, n_queries: int) -> float:
        """Compute the standard error of the mean of values of variance 1."""
        return math.sqrt(
            self.sets / n_sets
            + self.queries / n_queries
            + self.rest / (n_sets * n_queries)
        )


PROFILES = {
    "typical": Shares(sets=0.27, queries=0.03, rest=0.70),
    "sets differ": Shares(sets=0.51, queries=0.06, rest=0.43),
    "queries differ": Shares(sets=0.15, queries=0.45, rest=0.40),
    "sets are all": Shares(sets=0.80, queries=0.10, rest=0.10),
}
"""The first is the median over the cells of the shipped matrix. The second is near the
ninetieth percentile of the share of sets (see ``observed.json``). The third is for data
whose queries are the same in every set, which no judged shipped cell has. The last is
beyond the ninety-fifth percentile, and is there to be hard."""


QUERIES_ARE_ALL = Shares(sets=0.05, queries=0.90, rest=0.05)


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A distribution of matrices of values with mean 0.

    Attributes:
        name: The name in the tables; it also seeds the draws.
        shares: Shares of the variance.
        draw: Draws the parts of a value, with mean 0 and variance 1.
        draw_queries: Draws the part of the query, if it is of another shape.
        is_binary: Whether values are differences of two right-or-wrong answers, whose
            chances vary with set and query by the shares.
    """

    name: str
    shares: Shares
    draw: Draw
    draw_queries: Draw | None = None
    is_binary: bool = False

    def values(
        self, rng: np.random.Generator, n: int, n_sets: int, n_queries: int
    ) -> Array:
        """Draw n matrices, shape (n, n_sets, n_queries), mean 0 and variance 1."""
        if self.is_binary:
            return self._answers(rng, n, n_sets, n_queries)
        s = self.shares
        parts = (
            (s.sets, (n, n_sets, 1), self.draw),
            (s.queries, (n, 1, n_queries), self.draw_queries or self.draw),
            (s.rest, (n, n_sets, n_queries), self.draw),
        )
        total = np.zeros((n, n_sets, n_queries))
        for share, shape, draw in parts:
            total += math.sqrt(share) * draw(rng, shape)
        return total

    def _answers(
        self, rng: np.random.Generator, n: int, n_sets: int, n_queries: int
    ) -> Array:
        chance = RIGHT + CHANCE_SPREAD * (
            math.sqrt(self.shares.sets) * self.draw(rng, (n, n_sets, 1))
            + math.sqrt(self.shares.queries) * self.draw(rng, (n, 1, n_queries))
        )
        chance = np.clip(
            chance, RIGHT - ROOM, RIGHT + ROOM
        )  # symmetric: keeps the mean
        shape = (n, n_sets, n_queries)
        ours = rng.random(shape) < chance
        theirs = rng.random(shape) < RIGHT
        found: Array = (ours.astype(float) - theirs) / math.sqrt(
            2 * RIGHT * (1 - RIGHT)
        )
        return found


RIGHT = 0.7
"""The mean share of right answers in binary simulations, as that of ``hmm_llama``."""
CHANCE_SPREAD = 0.25
ROOM = 0.3


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw normal numbers."""
    return rng.normal(size=shape)


def exponential(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw numbers of skewness 2."""
    return rng.exponential(size=shape) - 1


def lognormal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw numbers of skewness 6.2: the logarithm has variance 1."""
    drawn = np.exp(rng.normal(size=shape))
    found: Array = (drawn - math.exp(0.5)) / math.sqrt((math.e - 1) * math.e)
    return found


def lognormal_below(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw numbers of skewness −6.2."""
    return -lognormal(rng, shape)


def students(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw Student's t with 3 degrees of freedom, whose fourth moment is infinite."""
    return np.asarray(rng.standard_t(3, size=shape) / math.sqrt(3))


def two_valued(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw −1 or 1."""
    return np.asarray(np.sign(rng.random(shape) - 0.5))


def one_in_ten(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw 3 in a tenth of cases and −⅓ in all others: skewness 2.7."""
    return np.asarray(np.where(rng.random(shape) < 0.1, 3.0, -1 / 3))


SHAPES: dict[str, Draw] = {
    "normal": normal,
    "two-valued": two_valued,
    "heavy tails": students,
    "skewed": exponential,
    "very skewed": lognormal,
    "very skewed below": lognormal_below,
}

SIMULATIONS = [
    *(
        Simulation(name=f"{shape}, {profile}", shares=shares, draw=draw)
        for shape, draw in SHAPES.items()
        for profile, shares in PROFILES.items()
    ),
    *(
        Simulation(
            name=f"answers, {profile}", shares=shares, draw=normal, is_binary=True
        )
        for profile, shares in PROFILES.items()
    ),
    *(
        Simulation(
            name=f"rare queries, {profile}",
            shares=shares,
            draw=normal,
            draw_queries=one_in_ten,
        )
        for profile, shares in {**PROFILES, "queries are all": QUERIES_ARE_ALL}.items()
    ),
]
"""In the last ones, the claim fails on a tenth of the queries."""
