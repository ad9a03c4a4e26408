"""How often a verdict is wrong if a cell stops at its first decisive analysis.

A larger matrix contains the sets of a smaller one, as in a run with
``--until-decided``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from probes.calibration.rules import RULES
from probes.calibration.simulations import Simulation
from probes.calibration.study import ERRORS_TO_MARGIN, HOME, TRUTHS, ErrorRates
from probes.hashing import seed_of
from probes.measurement import Array
from probes.verdicts.group_sequential import GroupSequentialDesign
from probes.verdicts.thresholds import ALPHA

LOOKS = GroupSequentialDesign(sizes=(10, 20, 40, 80))
LEVELS = {
    "interim analyses": LOOKS.nominal_level(ALPHA),
    "interim analyses, each at 5 %": ALPHA,
}
"""The level of each analysis. The second is a mistake, which the study must show."""
CHUNK = 200  # matrices drawn at once


def stopped_cells(simulation: Simulation, *, runs: int) -> Iterator[ErrorRates]:
    """Judge the cells of a simulation at every interim analysis until they are decided.

    The margin is smaller than the study's by √2, so that ten sets leave many undecided.
    """
    margin = ERRORS_TO_MARGIN * simulation.shares.error(*HOME) / np.sqrt(2)
    rng = np.random.default_rng(seed_of("looks", simulation.name))
    found: dict[tuple[str, str], list[Array]] = {}
    for start in range(0, runs, CHUNK):
        n = min(CHUNK, runs - start)
        values = simulation.values(rng, n, LOOKS.sizes[-1], HOME[1])
        for truth, margins in TRUTHS.items():
            p = _p_by_look(values + margins * margin, margin)
            for rule, level in LEVELS.items():
                found.setdefault((rule, truth), []).append(decided(p, level))
    for (rule, truth), parts in found.items():
        verdicts = np.concatenate(parts)
        supported, refuted = (verdicts == 1).mean(), (verdicts == -1).mean()
        yield ErrorRates(
            rule=rule,
            simulation=simulation.name,
            n_sets=LOOKS.sizes[-1],
            n_queries=HOME[1],
            truth=truth,
            false_supported=None if truth == "inside" else float(supported),
            false_refuted=None if truth == "outside" else float(refuted),
            power={"inside": float(supported), "outside": float(refuted)}.get(truth),
            runs=len(verdicts),
        )


def _p_by_look(values: Array, margin: float) -> Array:
    """Take p of *supported* and of *refuted*, shape (n_looks, 2, n)."""
    return np.stack(
        [RULES["instrument"](values[:, :size], margin) for size in LOOKS.sizes]
    )


def decided(p: Array, level: float) -> Array:
    """Return the verdict of each cell at the first analysis that decides it.

    Args:
        p: p of *supported* and of *refuted*, shape (n_looks, 2, n).
        level: The level of each analysis.

    Returns:
        Shape (n,): 1 supported, −1 refuted, 0 never decided.
    """
    by_look = np.where(p[:, 0] < level, 1.0, np.where(p[:, 1] < level, -1.0, 0.0))
    verdicts = np.zeros(p.shape[-1])
    for look in by_look:
        verdicts = np.where(verdicts == 0.0, look, verdicts)
    return verdicts
