"""How often each rule is wrong in single cells; ``many_cells`` has whole matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from probes.calibration.rules import RULES, SLOW, Rule
from probes.calibration.simulations import PROFILES, Shares, Simulation, normal
from probes.hashing import seed_of
from probes.measurement import Array
from probes.verdicts.ceiling import combine_arms
from probes.verdicts.gain import gain_flags
from probes.verdicts.thresholds import ALPHA

Flags = NDArray[np.bool_]

ERRORS_TO_MARGIN = 3.5
"""The margin, in standard errors of a normal mean at 10 sets × 40 queries. At this
size, a good rule finds most truths, and the errors of a bad one show."""
HOME = (10, 40)
SIZES = ((5, 40), (10, 40), (20, 40), (10, 100))
INSIDE, AT, OUTSIDE = 0.0, 1.0, 2.0  # the true mean, in margins
TRUTHS = {"inside": INSIDE, "at the margin": AT, "outside": OUTSIDE}
CHUNK = 500  # matrices drawn at once


@dataclass(frozen=True, kw_only=True)
class ErrorRates:
    """One line of the table: shares of runs, None where no such error is possible.

    Attributes:
        rule: The rule that judged.
        simulation: What it judged.
        truth: "inside", "at the margin" or "outside"; for a matrix, how many of each.
        false_supported: Share of *supported* with the mean at the margin or outside;
            for
            a matrix, the share with any such cell.
        false_refuted: Share of *refuted* with the mean at the margin or inside.
        power: Share of *supported* with the mean inside, or *refuted* with it outside.
        runs: How many were drawn.
    """

    rule: str
    simulation: str
    n_sets: int
    n_queries: int
    truth: str
    false_supported: float | None
    false_refuted: float | None
    power: float | None
    runs: int


def single_cells(
    simulation: Simulation, *, runs: int, slow_runs: int
) -> list[ErrorRates]:
    """Judge single cells of a simulation, at every size and truth.

    Args:
        simulation: The simulation.
        runs: Matrices for each rule.
        slow_runs: Matrices for each rule that resamples.
    """
    margin = ERRORS_TO_MARGIN * simulation.shares.error(*HOME)
    found = []
    for n_sets, n_queries in SIZES:
        for name, rule in RULES.items():
            n = slow_runs if name in SLOW else runs
            p = _p(rule, simulation, margin, n, n_sets, n_queries)
            for truth, (below, above) in p.items():
                outcome = count_errors(
                    name, simulation.name, n_sets, n_queries, truth,
                    supported=below < ALPHA,
                    refuted=(above < ALPHA) & (below >= ALPHA),
                )  # fmt: skip
                found.append(outcome)
    return found


def _p(
    rule: Rule,
    simulation: Simulation,
    margin: float,
    runs: int,
    n_sets: int,
    n_queries: int,
) -> dict[str, tuple[Array, Array]]:
    """Draw values, the same for every rule; compute the p-values for every truth."""
    rng = np.random.default_rng(seed_of(simulation.name, n_sets, n_queries))
    found: dict[str, list[tuple[Array, Array]]] = {truth: [] for truth in TRUTHS}
    for start in range(0, runs, CHUNK):
        n = min(CHUNK, runs - start)
        values = simulation.values(rng, n, n_sets, n_queries)
        for truth, margins in TRUTHS.items():
            found[truth].append(rule(values + margins * margin, margin))
    return {
        truth: (
            np.concatenate([below for below, _ in parts]),
            np.concatenate([above for _, above in parts]),
        )
        for truth, parts in found.items()
    }


def count_errors(
    rule: str,
    simulation: str,
    n_sets: int,
    n_queries: int,
    truth: str,
    *,
    supported: Flags,
    refuted: Flags,
) -> ErrorRates:
    """Count the verdicts of a rule that are wrong, given the truth.

    Args:
        rule: The rule's name.
        simulation: The name of what it judged.
        n_sets: Demonstration sets.
        n_queries: Queries of each.
        truth: "inside", "at the margin" or "outside".
        supported: Whether each run was called *supported*.
        refuted: Whether each run was called *refuted*.
    """
    power = {"inside": supported, "outside": refuted}.get(truth)
    return ErrorRates(
        rule=rule,
        simulation=simulation,
        n_sets=n_sets,
        n_queries=n_queries,
        truth=truth,
        false_supported=None if truth == "inside" else float(supported.mean()),
        false_refuted=None if truth == "outside" else float(refuted.mean()),
        power=None if power is None else float(power.mean()),
        runs=len(supported),
    )


ROOMS = {"much": 35.0, "some": 10.0, "little": 4.0}  # in standard errors of the mean
Rooms = tuple[float, ...]
FLOORS: dict[str, Rooms] = {
    "three equal floors": (0.0, 0.0, 0.0),
    "two far lower floors": (0.0, 5.0, 5.0),
}
"""How many rooms each further arm without learning lies below the highest."""
CEILINGS: dict[str, Rooms] = {
    "three equal ceilings": (0.0, 0.0, 0.0),
    "two far higher ceilings": (0.0, 5.0, 5.0),
}
"""How many rooms each further ceiling lies above the lowest."""


def shares_of_the_way(*, runs: int) -> Iterator[ErrorRates]:
    """Judge similarities between floors and ceilings that have errors of their own.

    The rule judges the contrast similarity − floor − (1 − margin)(ceiling − floor), as
    ``ceiling.ceiling_test`` does, where the ceiling is clearly above the floor. A tenth
    of the way may be missing. With some room, there are also worlds of three floors and
    of three ceilings.
    """
    for (profile, shares), (amount, errors) in product(PROFILES.items(), ROOMS.items()):
        one: Rooms = (0.0,)
        worlds = {f"ratio, {amount} room, {profile}": (one, one)}
        if amount == "some":
            for kind, lower in FLOORS.items():
                worlds[f"ratio, {kind}, {profile}"] = (lower, one)
            for kind, higher in CEILINGS.items():
                worlds[f"ratio, {kind}, {profile}"] = (one, higher)
        for name, (lower, higher) in worlds.items():
            yield from _shares_of_the_way(
                name, shares, errors, lower, higher, runs=runs
            )


def _shares_of_the_way(
    name: str,
    shares: Shares,
    errors: float,
    lower: Rooms,
    higher: Rooms,
    *,
    runs: int,
) -> Iterator[ErrorRates]:
    missing = 0.1
    simulation = Simulation(name=name, shares=shares, draw=normal)
    rng = np.random.default_rng(seed_of(name))
    n_arms = 1 + len(lower) + len(higher)
    first, similarity, second, *others = (
        simulation.values(rng, runs, *HOME) for _ in range(n_arms)
    )
    room = errors * shares.error(*HOME)
    n_floors = len(lower) - 1
    floors = np.stack([first, *others[:n_floors]])
    ceilings = np.stack([second, *others[n_floors:]]) + room
    floors -= room * np.reshape(lower, (-1, 1, 1, 1))
    ceilings += room * np.reshape(higher, (-1, 1, 1, 1))
    lowest, highest = _extreme(ceilings, -1), _extreme(floors, 1)
    is_clear, _ = gain_flags(lowest - highest)
    for truth, lacking in TRUTHS.items():
        reached = similarity + (1 - lacking * missing) * room
        p = [
            [
                RULES["instrument"](
                    (1 - missing) * (ceiling - floor) - (reached - floor), 0.0
                )
                for floor in floors
            ]
            for ceiling in ceilings
        ]
        below, beyond = combine_arms(*np.moveaxis(np.array(p), 2, 0))
        supported = is_clear & (below < ALPHA)
        yield count_errors(
            "instrument", name, *HOME, truth, supported=supported,
            refuted=is_clear & (beyond < ALPHA) & ~supported,
        )  # fmt: skip


def _extreme(arms: Array, sign: int) -> Array:
    """Choose in every run the arm with the largest mean, or the smallest (sign −1)."""
    chosen = (sign * arms.mean(axis=(-2, -1))).argmax(axis=0)
    found: Array = np.choose(chosen[:, None, None], arms)
    return found


FEW = ((3, 40), (4, 40), (5, 30), (5, 40), (7, 40), (10, 1), (10, 4), (10, 10),
       (10, 20), (10, 30), (20, 30))  # fmt: skip


def small_designs(simulation: Simulation, *, runs: int) -> Iterator[ErrorRates]:
    """Judge with few sets or queries, and also with fewer than a verdict needs."""
    for n_sets, n_queries in FEW:
        rng = np.random.default_rng(seed_of("few", simulation.name, n_sets, n_queries))
        values = simulation.values(rng, runs, n_sets, n_queries)
        below, above = RULES["instrument"](values, 0.0)
        yield count_errors(
            "instrument, few", simulation.name, n_sets, n_queries, "at the margin",
            supported=below < ALPHA, refuted=(above < ALPHA) & (below >= ALPHA),
        )  # fmt: skip


RARE = (0.02, 0.05, 0.1, 0.2)  # share of sets in which the claim fails; the margin


def rare_failures(*, runs: int) -> Iterator[ErrorRates]:
    """Judge what no rule can see: a claim that fails completely, but in few sets.

    Values are 1 in all queries of a rare set, and else 0, so the mean is the margin. In
    .9^10 of runs, ten sets contain no rare set: every value is 0, and *supported* is
    wrong.
    """
    for share in RARE:
        for n_sets, n_queries in SIZES[:3]:
            rng = np.random.default_rng(seed_of("rare", share, n_sets))
            is_rare = rng.random((runs, n_sets, 1)) < share
            values = np.broadcast_to(is_rare, (runs, n_sets, n_queries)).astype(float)
            below, above = RULES["instrument"](values, share)
            yield count_errors(
                "instrument, at its limit", f"one set in {round(1 / share)} fails",
                n_sets, n_queries, "at the margin",
                supported=below < ALPHA, refuted=(above < ALPHA) & (below >= ALPHA),
            )  # fmt: skip
