"""How often a whole matrix is wrong: any false *supported*, by correction.

The cells of a matrix are at the margin, or half of them inside it; each is judged by
the instrument's rule, and what is supported alone is corrected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from probes.calibration.rules import instrument
from probes.calibration.simulations import World
from probes.calibration.study import AT, ERRORS_TO_MARGIN, HOME, INSIDE, Flags, Outcome
from probes.hashing import seed_of
from probes.measurement import Array
from probes.verdicts.false_discovery import benjamini_hochberg, holm
from probes.verdicts.thresholds import ALPHA, least_p

OURS = "Benjamini–Hochberg with a least p"
"""What ``probes.results.matrix_correction.correct_verdicts`` does."""
CORRECTIONS = (
    "none",
    "Benjamini–Hochberg by claim",
    "Benjamini–Hochberg",
    "Holm",
    OURS,
)
SMALL, LARGE = 48, 500
CLAIMS = {SMALL: 8, LARGE: 25}  # among which the cells are dealt
FEWER = 4  # large matrices are drawn so many times less often


def matrices(world: World, *, runs: int) -> Iterator[Outcome]:
    """Judge matrices of a world: all cells at the margin, and half of them inside.

    A cell's share of runs becomes: any false *supported* in the matrix, and the mean
    share of the true ones that is found. Large matrices are drawn in worlds of typical
    shares alone.
    """
    for n_cells in CLAIMS:
        if n_cells == LARGE and not world.name.endswith(", typical"):
            continue
        n_runs = runs if n_cells == SMALL else max(1, runs // FEWER)
        for share_true in (0.0, 0.5):
            p, true = draw(world, n_cells, share_true, runs=n_runs)
            for correction in CORRECTIONS:
                yield _outcome(p, true, correction, world.name)


def draw(
    world: World, n_cells: int, share_true: float, *, runs: int
) -> tuple[Array, Flags]:
    """Draw p of *supported* of every cell, (runs, n_cells), and which are true."""
    margin = ERRORS_TO_MARGIN * world.shares.error(*HOME)
    rng = np.random.default_rng(seed_of(world.name, n_cells, share_true))
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
    if correction == OURS:
        return benjamini_hochberg([max(value, least_p(HOME[0])) for value in p])
    found = [0.0] * len(p)
    for claim in range(n_claims):
        places = range(claim, len(p), n_claims)
        for place, value in zip(
            places, benjamini_hochberg([p[i] for i in places]), strict=True
        ):
            found[place] = value
    return found


def is_any_false(p: Array, true: Flags, correction: str) -> Flags:
    """Say of every matrix whether a cell at the margin is supported, shape (runs,)."""
    return np.asarray(_kept(p, correction)[:, ~true].any(axis=1))


def _kept(p: Array, correction: str) -> Flags:
    n_claims = CLAIMS[p.shape[1]]
    kept = [adjusted(one.tolist(), correction, n_claims) for one in p]
    return np.asarray(kept) < ALPHA


def _outcome(p: Array, true: Flags, correction: str, world: str) -> Outcome:
    kept = _kept(p, correction)
    return Outcome(
        rule=f"instrument, corrected: {correction}",
        world=f"{p.shape[1]} cells, {world}",
        n_sets=HOME[0],
        n_queries=HOME[1],
        truth=f"{int(true.sum())} inside, {int((~true).sum())} at the margin",
        false_supported=float(kept[:, ~true].any(axis=1).mean()),
        false_refuted=None,
        power=float(kept[:, true].mean()) if true.any() else None,
        runs=len(p),
    )
