"""The study: how often each rule errs in single cells; matrices are in ``matrices``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.calibration.rules import RULES, SLOW, Rule
from probes.calibration.simulations import PROFILES, World, normal
from probes.hashing import seed_of
from probes.measurement import Array
from probes.verdicts.thresholds import ALPHA

Flags = NDArray[np.bool_]

ERRORS_TO_MARGIN = 3.5
"""The margin, in standard errors of a normal mean at 10 sets × 40 queries: a size at
which a good rule finds most truths and a bad one shows."""
HOME = (10, 40)
SIZES = ((5, 40), (10, 40), (20, 40), (10, 100))
INSIDE, AT, OUTSIDE = 0.0, 1.0, 2.0  # the true mean, in margins
TRUTHS = {"inside": INSIDE, "at the margin": AT, "outside": OUTSIDE}
CHUNK = 500  # matrices drawn at once


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A line of the table; shares of runs, None where the truth has no such error.

    Attributes:
        rule: Who decided.
        world: On what.
        truth: "inside", "at the margin" or "outside"; of a matrix, how many of which.
        false_supported: *Supported* where the mean is at the margin or outside; of a
            matrix, any such cell.
        false_refuted: *Refuted* where it is at the margin or inside.
        power: *Supported* where it is inside, *refuted* where it is outside.
        runs: Worlds drawn.
    """

    rule: str
    world: str
    n_sets: int
    n_queries: int
    truth: str
    false_supported: float | None
    false_refuted: float | None
    power: float | None
    runs: int


def cells(world: World, *, runs: int, slow_runs: int) -> list[Outcome]:
    """Judge single cells of a world, at every size and truth.

    Args:
        world: The world.
        runs: Matrices for each.
        slow_runs: Those of the rules that resample.
    """
    margin = ERRORS_TO_MARGIN * world.shares.error(*HOME)
    found = []
    for n_sets, n_queries in SIZES:
        for name, rule in RULES.items():
            n = slow_runs if name in SLOW else runs
            p = _p(rule, world, margin, n, n_sets, n_queries)
            for truth, (below, above) in p.items():
                outcome = _outcome(
                    name, world.name, n_sets, n_queries, truth,
                    supported=below < ALPHA,
                    refuted=(above < ALPHA) & (below >= ALPHA),
                )  # fmt: skip
                found.append(outcome)
    return found


def _p(
    rule: Rule, world: World, margin: float, runs: int, n_sets: int, n_queries: int
) -> dict[str, tuple[Array, Array]]:
    """Draw worlds, the same for every rule, and take the p-values at every truth."""
    rng = np.random.default_rng(seed_of(world.name, n_sets, n_queries))
    found: dict[str, list[tuple[Array, Array]]] = {truth: [] for truth in TRUTHS}
    for start in range(0, runs, CHUNK):
        n = min(CHUNK, runs - start)
        values = world.values(rng, n, n_sets, n_queries)
        for truth, margins in TRUTHS.items():
            found[truth].append(rule(values + margins * margin, margin))
    return {
        truth: (
            np.concatenate([below for below, _ in parts]),
            np.concatenate([above for _, above in parts]),
        )
        for truth, parts in found.items()
    }


def _outcome(
    rule: str,
    world: str,
    n_sets: int,
    n_queries: int,
    truth: str,
    *,
    supported: Flags,
    refuted: Flags,
) -> Outcome:
    power = {"inside": supported, "outside": refuted}.get(truth)
    return Outcome(
        rule=rule,
        world=world,
        n_sets=n_sets,
        n_queries=n_queries,
        truth=truth,
        false_supported=None if truth == "inside" else float(supported.mean()),
        false_refuted=None if truth == "outside" else float(refuted.mean()),
        power=None if power is None else float(power.mean()),
        runs=len(supported),
    )


def ratios(*, runs: int) -> Iterator[Outcome]:
    """Judge similarities between a floor and a ceiling that have errors of their own.

    The decision is on the contrast similarity − floor − (1 − margin)(ceiling − floor),
    as in ``verdicts.ceiling.ceiling_test``; a tenth of the way may be missing.
    """
    missing, room = 0.1, 4.0
    for profile, shares in PROFILES.items():
        world = World(name=f"ratio, {profile}", shares=shares, draw=normal)
        rng = np.random.default_rng(seed_of(world.name))
        arms = [world.values(rng, runs, *HOME) for _ in range(3)]
        scale = 0.1 * room / (ERRORS_TO_MARGIN * shares.error(*HOME))
        floor, similarity, ceiling = (scale * arm for arm in arms)
        for truth, lacking in TRUTHS.items():
            way = 1 - lacking * missing
            above = similarity + way * room - floor
            contrast = (1 - missing) * (ceiling + room - floor) - above
            below, beyond = RULES["instrument"](contrast, 0.0)
            yield _outcome(
                "instrument", world.name, *HOME, truth,
                supported=below < ALPHA, refuted=(beyond < ALPHA) & (below >= ALPHA),
            )  # fmt: skip


FEW = ((3, 40), (4, 40), (5, 40), (10, 1), (20, 1), (10, 3), (20, 3), (10, 4), (20, 4),
       (20, 9))  # fmt: skip


def few(world: World, *, runs: int) -> Iterator[Outcome]:
    """Judge a world by few sets or few queries, also by fewer than a verdict takes."""
    for n_sets, n_queries in FEW:
        rng = np.random.default_rng(seed_of("few", world.name, n_sets, n_queries))
        values = world.values(rng, runs, n_sets, n_queries)
        below, above = RULES["instrument"](values, 0.0)
        yield _outcome(
            "instrument, few", world.name, n_sets, n_queries, "at the margin",
            supported=below < ALPHA, refuted=(above < ALPHA) & (below >= ALPHA),
        )  # fmt: skip


RARE = (0.1, 0.2)  # the share of sets in which the claim fails, the same as the margin


def limits(*, runs: int) -> Iterator[Outcome]:
    """Judge what no rule can see: a claim that fails wholly, but in few sets.

    Values are 0, and 1 in all queries of a rare set; the mean is the margin. Ten sets
    show no such set in .9^10 of runs: then every value is 0, and *supported* is wrong.
    """
    for share in RARE:
        for n_sets, n_queries in SIZES[:3]:
            rng = np.random.default_rng(seed_of("rare", share, n_sets))
            is_rare = rng.random((runs, n_sets, 1)) < share
            values = np.broadcast_to(is_rare, (runs, n_sets, n_queries)).astype(float)
            below, above = RULES["instrument"](values, share)
            yield _outcome(
                "instrument, at its limit", f"one set in {round(1 / share)} fails",
                n_sets, n_queries, "at the margin",
                supported=below < ALPHA, refuted=(above < ALPHA) & (below >= ALPHA),
            )  # fmt: skip
