"""How often a verdict on several means at once is wrong: the nearest of rivals.

Every rival has an excess: GD's distance from ICL minus the rival's. The claim holds if
all excesses are below the margin. All share GD's distance, so they are correlated.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from probes.calibration.simulations import Simulation
from probes.calibration.study import (
    ERRORS_TO_MARGIN,
    HOME,
    ErrorRates,
    Flags,
    count_errors,
)
from probes.hashing import seed_of
from probes.measurement import Array
from probes.verdicts.decision import p_values
from probes.verdicts.intersection_union import combine
from probes.verdicts.thresholds import ALPHA

N_RIVALS = 5
TRUTHS = {
    "all inside": ("inside", (0.0,) * N_RIVALS),
    "one at the margin, others inside": ("at the margin", (1.0, 0.0, 0.0, 0.0, 0.0)),
    "all at the margin": ("at the margin", (1.0,) * N_RIVALS),
    "one outside, others inside": ("outside", (2.0, 0.0, 0.0, 0.0, 0.0)),
}
"""The true excess of each rival, in margins."""
OURS, NEAREST = "all rivals", "the nearest in the sample"
"""The instrument's rule, and a mistake that the study must show."""
CHUNK = 500


def rival_error_rates(simulation: Simulation, *, runs: int) -> Iterator[ErrorRates]:
    """Judge several rivals at once, with the spread of a simulation."""
    margin = ERRORS_TO_MARGIN * simulation.shares.error(*HOME)
    rng = np.random.default_rng(seed_of("rivals", simulation.name))
    found: dict[tuple[str, str], list[tuple[Flags, Flags]]] = {}
    for start in range(0, runs, CHUNK):
        n = min(CHUNK, runs - start)
        common, *own = (simulation.values(rng, n, *HOME) for _ in range(1 + N_RIVALS))
        drawn = (common + np.stack(own)) / np.sqrt(2)
        for name, (_, means) in TRUTHS.items():
            excess = drawn + margin * np.reshape(means, (-1, 1, 1, 1))
            for rule, flags in _verdicts(excess, margin).items():
                found.setdefault((rule, name), []).append(flags)
    for (rule, name), parts in found.items():
        supported, refuted = (
            np.concatenate(flags) for flags in zip(*parts, strict=True)
        )
        yield count_errors(
            f"rivals: {rule}", f"{name}; {simulation.name}", *HOME, TRUTHS[name][0],
            supported=supported, refuted=refuted,
        )  # fmt: skip


def _verdicts(excess: Array, margin: float) -> dict[str, tuple[Flags, Flags]]:
    """Judge by both rules; the excess has shape (n_rivals, n, n_sets, n_queries)."""
    inside, outside = p_values(excess, margin, one_sided=True)
    nearest = excess.mean(axis=(-2, -1)).argmax(axis=0)[None]
    p = {
        OURS: combine(inside, outside),
        NEAREST: tuple(
            np.take_along_axis(one, nearest, axis=0)[0] for one in (inside, outside)
        ),
    }
    return {
        rule: (supported < ALPHA, (refuted < ALPHA) & (supported >= ALPHA))
        for rule, (supported, refuted) in p.items()
    }
