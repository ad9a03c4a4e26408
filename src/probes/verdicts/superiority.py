"""The superiority test: whether an advantage is larger than a margin.

It is the one-sided equivalence test with its two p-values exchanged.
"""

from __future__ import annotations

from probes.measurement import Measurement
from probes.verdicts.decision import decide
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
    below = equivalence_test(advantage, margin=margin, one_sided=True, alpha=alpha)
    assert below.p_supported is not None
    assert below.p_refuted is not None
    gap = advantage.mean - margin
    return decide(
        below.effect, below.p_refuted, below.p_supported, gap=gap, alpha=alpha
    )
