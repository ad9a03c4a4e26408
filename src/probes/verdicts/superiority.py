"""The verdict that an advantage is larger than a margin: one within it, mirrored."""

from __future__ import annotations

from dataclasses import replace

from probes.measurement import Measurement
from probes.verdicts.equivalence import judge_within
from probes.verdicts.judgement import Judgement
from probes.verdicts.thresholds import ALPHA


def judge_above(
    advantage: Measurement, *, margin: float, alpha: float = ALPHA
) -> Judgement:
    """Decide whether a signed advantage is larger than the margin.

    Args:
        advantage: What there must be more of.
        margin: The smallest advantage that matters, in the same unit.
        alpha: Level of this look, see ``sequential``.
    """
    mirrored = replace(advantage, values=2 * margin - advantage.values)
    found = judge_within(mirrored, margin=margin, one_sided=True, alpha=alpha)
    low, high = found.effect.low, found.effect.high
    effect = replace(
        found.effect,
        value=advantage.mean,
        low=None if high is None else 2 * margin - high,
        high=None if low is None else 2 * margin - low,
    )
    return replace(found, effect=effect)
