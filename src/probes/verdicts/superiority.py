"""The superiority test: whether an advantage is larger than a margin.

It is the one-sided equivalence test of the mirrored values.
"""

from __future__ import annotations

from dataclasses import replace

from probes.measurement import Measurement
from probes.verdicts.equivalence import equivalence_test
from probes.verdicts.judgement import Judgement
from probes.verdicts.thresholds import ALPHA


def superiority_test(
    advantage: Measurement, *, margin: float, alpha: float = ALPHA
) -> Judgement:
    """Decide whether a signed advantage is larger than the margin.

    Args:
        advantage: A signed difference; larger values speak for the claim.
        margin: The smallest advantage that matters, in the same unit.
        alpha: Level of this interim analysis, see ``group_sequential``.
    """
    unit = advantage.unit_values
    mirrored = replace(
        advantage,
        values=2 * margin - advantage.values,
        unit_values=None if unit is None else 2 - unit,
    )
    judgement = equivalence_test(mirrored, margin=margin, one_sided=True, alpha=alpha)
    low, high = judgement.effect.low, judgement.effect.high
    effect = replace(
        judgement.effect,
        value=advantage.mean,
        low=None if high is None else 2 * margin - high,
        high=None if low is None else 2 * margin - low,
    )
    return replace(judgement, effect=effect)
