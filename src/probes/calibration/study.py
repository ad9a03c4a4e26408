"""The study: how often each rule errs, in single cells and in whole matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.calibration.rules import RULES, SLOW, Rule, instrument
from probes.calibration.worlds import PROFILES, World, normal
from probes.measurement import Array
from probes.statistics import benjamini_hochberg, holm
from probes.tasks import seed_of
from probes.verdict import ALPHA

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
    as in ``verdict.judge_ceiling``; a tenth of the way may be missing.
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


CORRECTIONS = ("none", "Benjamini–Hochberg by claim", "Benjamini–Hochberg", "Holm")
MATRICES = {48: 8, 500: 25}  # cells, and claims among which they are dealt


def matrices(world: World, *, runs: int) -> list[Outcome]:
    """Judge whole matrices of a world: every cell at the margin, and half inside.

    A cell's share of runs becomes: any false *supported* in the matrix, and the mean
    share of the true ones that is found.
    """
    margin = ERRORS_TO_MARGIN * world.shares.error(*HOME)
    outcomes = []
    for n_cells, n_claims in MATRICES.items():
        for share_true in (0.0, 0.5):
            seed = seed_of(world.name, n_cells, share_true)
            found = _matrices(world, margin, runs, n_cells, share_true, seed)
            outcomes += [
                _matrix_outcome(
                    found, correction, world.name, n_cells, n_claims, share_true
                )
                for correction in CORRECTIONS
            ]
    return outcomes


def _matrices(
    world: World, margin: float, runs: int, n_cells: int, share_true: float, seed: int
) -> tuple[Array, Flags]:
    """Draw p of *supported* of every cell, (runs, n_cells), and which are true."""
    rng = np.random.default_rng(seed)
    true = np.arange(n_cells) % 2 < 2 * share_true
    means = np.where(true, INSIDE, AT) * margin
    shift = means[:, None, None]
    p = [
        instrument(world.values(rng, n_cells, *HOME) + shift, margin)[0]
        for _ in range(runs)
    ]
    return np.stack(p), true


def adjusted(p: Sequence[float], correction: str, n_claims: int) -> list[float]:
    """Correct the p-values of a matrix, whose cells are dealt to claims in turn."""
    if correction == "none":
        return list(p)
    if correction == "Holm":
        return holm(p)
    if correction == "Benjamini–Hochberg":
        return benjamini_hochberg(p)
    found = [0.0] * len(p)
    for claim in range(n_claims):
        places = range(claim, len(p), n_claims)
        for place, value in zip(
            places, benjamini_hochberg([p[i] for i in places]), strict=True
        ):
            found[place] = value
    return found


def _matrix_outcome(
    found: tuple[Array, Flags],
    correction: str,
    world: str,
    n_cells: int,
    n_claims: int,
    share_true: float,
) -> Outcome:
    p, true = found
    kept = np.array([adjusted(one.tolist(), correction, n_claims) for one in p]) < ALPHA
    return Outcome(
        rule=f"instrument, corrected: {correction}",
        world=f"{n_cells} cells, {world}",
        n_sets=HOME[0],
        n_queries=HOME[1],
        truth=f"{int(true.sum())} inside, {int((~true).sum())} at the margin",
        false_supported=float(kept[:, ~true].any(axis=1).mean()),
        false_refuted=None,
        power=float(kept[:, true].mean()) if true.any() else None,
        runs=len(p),
    )
