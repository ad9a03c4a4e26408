"""Looking again: how often cells that stop when they are decided are decided wrongly.

A larger matrix holds the sets of a smaller one, as in a run with ``--until-decided``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from probes.calibration.rules import RULES
from probes.calibration.simulations import World
from probes.calibration.study import ERRORS_TO_MARGIN, HOME, TRUTHS, Outcome
from probes.hashing import seed_of
from probes.measurement import Array
from probes.verdicts.group_sequential import GroupSequentialDesign
from probes.verdicts.thresholds import ALPHA

LOOKS = GroupSequentialDesign(sizes=(10, 20, 40, 80))
TELLING = {
    "looking again": LOOKS.nominal_level(ALPHA),
    "looking again, each look at 5 %": ALPHA,
}
"""The level of each look; the second is a mistake that is there to be seen."""
CHUNK = 200  # matrices drawn at once


def sequences(world: World, *, runs: int) -> Iterator[Outcome]:
    """Judge cells of a world at every look until they are decided.

    The margin is nearer than the study's by √2, so that ten sets leave many undecided.
    """
    margin = ERRORS_TO_MARGIN * world.shares.error(*HOME) / np.sqrt(2)
    rng = np.random.default_rng(seed_of("looks", world.name))
    found: dict[tuple[str, str], list[Array]] = {}
    for start in range(0, runs, CHUNK):
        n = min(CHUNK, runs - start)
        values = world.values(rng, n, LOOKS.sizes[-1], HOME[1])
        for truth, margins in TRUTHS.items():
            p = _p_by_look(values + margins * margin, margin)
            for rule, level in TELLING.items():
                found.setdefault((rule, truth), []).append(decided(p, level))
    for (rule, truth), parts in found.items():
        verdicts = np.concatenate(parts)
        supported, refuted = (verdicts == 1).mean(), (verdicts == -1).mean()
        yield Outcome(
            rule=rule,
            world=world.name,
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
    """Find what each cell says at the first look that decides it.

    Args:
        p: Shape (n_looks, 2, n), of *supported* and of *refuted*.
        level: Of each look.

    Returns:
        Shape (n,): 1 supported, −1 refuted, 0 undecided to the last.
    """
    said = np.where(p[:, 0] < level, 1.0, np.where(p[:, 1] < level, -1.0, 0.0))
    verdicts = np.zeros(p.shape[-1])
    for look in said:
        verdicts = np.where(verdicts == 0.0, look, verdicts)
    return verdicts
