"""How often a verdict is wrong if rows come in groups: sets nested in groups.

A value is mean + group + set + query + rest. A set and its queries are of one group, so
groups do not share queries. Sets take turns among the groups, as in the instrument.

There are two truths. Of *new groups*, it is the mean over all groups that may be drawn.
Of *these groups*, it is the mean over the groups that were drawn, each counted once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from probes.calibration.simulations import PROFILES, SHAPES, Draw, Shares
from probes.calibration.study import ERRORS_TO_MARGIN, TRUTHS, ErrorRates, count_errors
from probes.hashing import seed_of
from probes.measurement import Array
from probes.verdicts.crossed_means import Estimate, estimate_mean
from probes.verdicts.group_means import average_by_group
from probes.verdicts.thresholds import ALPHA, FEW_FACTOR, WIDENING, are_few

N_GROUPS = (4, 8, 16)
N_SETS = (10, 80)
N_QUERIES = 40
GROUP_SHARES = (0.4, 0.6, 0.9)
"""Share of groups in the variance of the means of sets. The first two were measured on
``hmm`` with 80 sets of eight concepts (F = 7.5 and 17, ten sets each). The last is
there to be hard."""
GROUP_SHAPES = ("normal", "two-valued", "skewed", "very skewed")
GROUP_PROFILES = ("typical", "sets are all")
THESE, NEW = "these groups", "new groups"
SETS, GROUPS = "sets as units", "groups as units"
JUDGED = ((SETS, THESE), (GROUPS, NEW), (SETS, NEW))
"""The rule and the population that it speaks of. The last pair is a mistake, which the
study must show."""
CHUNK = 250


def rule_name(units: str, population: str) -> str:
    """Name a rule in the results."""
    return f"groups: {population}, {units}"


@dataclass(frozen=True, kw_only=True)
class GroupedSimulation:
    """A distribution of values whose sets are nested in groups.

    Attributes:
        shape: Names the distribution of every part of a value.
        profile: Names the shares of sets, queries and rest in the variance.
        group_share: Share of groups in the variance of sets.
        n_groups: Number of groups.
        n_sets: Number of sets.
    """

    shape: str
    profile: str
    group_share: float
    n_groups: int
    n_sets: int

    @property
    def name(self) -> str:
        """The name in the tables; it also seeds the draws."""
        share = f"groups are {self.group_share:g} of sets"
        return f"{self.n_groups} groups; {self.shape}, {self.profile}, {share}"

    @property
    def shares(self) -> Shares:
        """The shares of variance."""
        return PROFILES[self.profile]

    def error(self, population: str) -> float:
        """Compute the standard error of the mean of sets for a population."""
        s, n = self.shares, self.n_sets
        present = min(self.n_groups, n)
        between = self.group_share * s.sets if population == NEW else 0.0
        return math.sqrt(
            between / present
            + (1 - self.group_share) * s.sets / n
            + s.queries / (present * N_QUERIES)
            + s.rest / (n * N_QUERIES)
        )

    def values(self, rng: np.random.Generator, n: int) -> tuple[Array, Array]:
        """Draw n matrices of mean 0 over all groups, and the means of their groups.

        Returns:
            Values, shape (n, n_sets, N_QUERIES), and the mean over the groups that were
            drawn, shape (n, 1, 1).
        """
        draw: Draw = SHAPES[self.shape]
        s, of_set = self.shares, np.arange(self.n_sets) % self.n_groups
        groups = math.sqrt(self.group_share * s.sets) * draw(rng, (n, self.n_groups, 1))
        sets = math.sqrt((1 - self.group_share) * s.sets) * draw(
            rng, (n, self.n_sets, 1)
        )
        queries = math.sqrt(s.queries) * draw(rng, (n, self.n_groups, N_QUERIES))
        rest = math.sqrt(s.rest) * draw(rng, (n, self.n_sets, N_QUERIES))
        values = (groups + queries)[:, of_set] + sets + rest
        return values, groups.mean(axis=1, keepdims=True)


def p_of_excess(
    estimate: Estimate, shift: Array | float, *, few: bool
) -> tuple[Array, Array]:
    """Compute what ``decision.p_values`` does for a mean minus its margin.

    Args:
        estimate: Of the values.
        shift: Moves their mean. To move it is faster than to estimate it again.
        few: Whether there are too few units to show a tail.
    """
    moved = replace(estimate, mean=estimate.mean + shift)
    factor = FEW_FACTOR if few else 1
    below = factor * moved.p_below(0.0, widening=WIDENING)
    above = factor * moved.p_above(0.0, widening=WIDENING)
    return np.minimum(1.0, below), np.minimum(1.0, above)


def grouped_error_rates(shape: str, *, runs: int) -> Iterator[ErrorRates]:
    """Judge sets nested in groups, with values of one shape, for both populations."""
    for profile, share, n_groups, n_sets in product(
        GROUP_PROFILES, GROUP_SHARES, N_GROUPS, N_SETS
    ):
        simulation = GroupedSimulation(
            shape=shape,
            profile=profile,
            group_share=share,
            n_groups=n_groups,
            n_sets=n_sets,
        )
        yield from judged_rates(simulation, runs)


def judged_rates(simulation: GroupedSimulation, runs: int) -> Iterator[ErrorRates]:
    """Judge draws of one simulation by every rule and truth."""
    rng = np.random.default_rng(seed_of(simulation.name, simulation.n_sets))
    p: dict[tuple[str, str, str], list[tuple[Array, Array]]] = {}
    for start in range(0, runs, CHUNK):
        values, of_these = simulation.values(rng, min(CHUNK, runs - start))
        units_of = {
            SETS: values,
            GROUPS: average_by_group(values, simulation.n_groups),
        }
        estimates = {units: estimate_mean(drawn) for units, drawn in units_of.items()}
        for (units, population), truth in product(JUDGED, TRUTHS):
            excess = (TRUTHS[truth] - 1) * ERRORS_TO_MARGIN
            shift: Array | float = excess * simulation.error(population)
            if population == THESE:
                shift = shift - of_these[:, 0, 0]
            few = are_few(units_of[units].shape)
            found = p_of_excess(estimates[units], shift, few=few)
            p.setdefault((units, population, truth), []).append(found)
    for (units, population, truth), parts in p.items():
        below, above = map(np.concatenate, zip(*parts, strict=True))
        yield count_errors(
            rule_name(units, population), simulation.name, simulation.n_sets, N_QUERIES,
            truth, supported=below < ALPHA,
            refuted=(above < ALPHA) & (below >= ALPHA),
        )  # fmt: skip
