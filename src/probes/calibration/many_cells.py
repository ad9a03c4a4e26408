"""How often a whole matrix has any false verdict, by correction.

The true means of its cells are at the margin, or half of them inside it. The
instrument's rule judges each cell, and the verdicts are then corrected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from probes.calibration.rules import instrument
from probes.calibration.simulations import Simulation
from probes.calibration.study import (
    AT,
    ERRORS_TO_MARGIN,
    HOME,
    INSIDE,
    ErrorRates,
    Flags,
)
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
CLAIMS = {SMALL: 8, LARGE: 25}  # number of claims that share the cells
FEWER = 4  # factor by which fewer large matrices are drawn


def corrected_matrices(simulation: Simulation, *, runs: int) -> Iterator[ErrorRates]:
    """Judge whole matrices: with all cells at the margin, and with half of them inside.

    ``false_supported`` is the share of matrices with any false *supported*,
    ``false_refuted`` of those with any false *refuted*. ``power`` is the mean share of
    true cells that are found. Large matrices are drawn only from simulations with
    typical shares. In matrices of threes, three cells in a row have the same values, as
    claims have that share nearly all their answers.
    """
    for n_cells in CLAIMS:
        if n_cells == LARGE and not simulation.name.endswith(", typical"):
            continue
        n_runs = runs if n_cells == SMALL else max(1, runs // FEWER)
        for share_true in (0.0, 0.5):
            p, true = draw(simulation, n_cells, share_true, runs=n_runs)
            for correction in CORRECTIONS:
                yield _outcome(p, true, correction, simulation.name)
    p, true = draw(simulation, SMALL // 3, 0.0, runs=runs)
    for correction in ("Benjamini–Hochberg", OURS):
        yield _outcome(
            np.repeat(p, 3, axis=-1),
            np.repeat(true, 3),
            correction,
            f"in threes, {simulation.name}",
        )


def draw(
    simulation: Simulation, n_cells: int, share_true: float, *, runs: int
) -> tuple[Array, Flags]:
    """Draw p of *supported* and of *refuted* for every cell, and what is true.

    Returns:
        Shape (2, runs, n_cells); and shape (n_cells,), whether a cell lies inside.
    """
    margin = ERRORS_TO_MARGIN * simulation.shares.error(*HOME)
    rng = np.random.default_rng(seed_of(simulation.name, n_cells, share_true))
    true = np.arange(n_cells) % 2 < 2 * share_true
    means = np.where(true, INSIDE, AT) * margin
    shift = means[:, None, None]
    p = [
        instrument(simulation.values(rng, n_cells, *HOME) + shift, margin)
        for _ in range(runs)
    ]
    return np.asarray(p).swapaxes(0, 1), true


def adjusted(p: Sequence[float], correction: str, n_claims: int) -> list[float]:
    """Correct the p-values of a matrix, whose cells belong to the claims in turn."""
    if correction == "none":
        return list(p)
    if correction == "Holm":
        return holm(p)
    if correction == "Benjamini–Hochberg":
        return benjamini_hochberg(p)
    if correction == OURS:
        return benjamini_hochberg([max(value, least_p(HOME[0])) for value in p])
    corrected = [0.0] * len(p)
    for claim in range(n_claims):
        places = range(claim, len(p), n_claims)
        for place, value in zip(
            places, benjamini_hochberg([p[i] for i in places]), strict=True
        ):
            corrected[place] = value
    return corrected


def cells_that_stand(p: Array, correction: str) -> Flags:
    """Say which cells keep their verdict after the correction.

    Args:
        p: p of this verdict, shape (n_runs, n_cells).
        correction: One of ``CORRECTIONS``.

    Returns:
        Shape (n_runs, n_cells).
    """
    n_claims = CLAIMS[p.shape[1]]
    corrected = [adjusted(one.tolist(), correction, n_claims) for one in p]
    return np.asarray(corrected) < ALPHA


def _outcome(p: Array, true: Flags, correction: str, simulation: str) -> ErrorRates:
    supported, refuted = (cells_that_stand(one, correction) for one in p)
    return ErrorRates(
        rule=f"instrument, corrected: {correction}",
        simulation=f"{p.shape[-1]} cells, {simulation}",
        n_sets=HOME[0],
        n_queries=HOME[1],
        truth=f"{int(true.sum())} inside, {int((~true).sum())} at the margin",
        false_supported=float(supported[:, ~true].any(axis=1).mean()),
        false_refuted=float(refuted.any(axis=1).mean()),
        power=float(supported[:, true].mean()) if true.any() else None,
        runs=p.shape[1],
    )
