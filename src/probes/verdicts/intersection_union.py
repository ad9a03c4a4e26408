"""Verdicts on several means at once: all of them must lie below the margin.

A claim about the nearest of several rivals, or about every layer, is a claim about all
of them. To test only the one that is largest in the sample would forget that another
may truly be larger.

- *Supported* needs each of them to be clearly below: p is the largest of all
  (intersection-union test: Berger 1982, *Technometrics* 24:295).
- *Refuted* needs one to be clearly above, or several to be rather clearly so: p is that
  of Simes (1986, *Biometrika* 73:751), which holds for means that vary together, as
  distances from one ICL do (Sarkar 1998, *Ann. Stat.* 26:494), times a factor for
  values whose tails the p-values do not see. Means that are clearly inside, at a tenth
  of the level, do not count; the rest is tested at nine tenths of it (as in Romano,
  Shaikh and Wolf 2014, *Econometrica* 82:1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from probes.errors import ClaimError
from probes.measurement import Array, Measurement
from probes.verdicts.decision import decide, p_values
from probes.verdicts.equivalence import equivalence_test
from probes.verdicts.false_discovery import simes
from probes.verdicts.judgement import Judgement
from probes.verdicts.partial_identification import hold_at_bounds
from probes.verdicts.thresholds import ALPHA, SEVERAL_FACTOR

CLEARLY_INSIDE = ALPHA / 10
"""p of *supported* below which a mean is no candidate for *refuted*."""


def intersection_union_test(
    measurements: Sequence[Measurement], *, margin: float, alpha: float = ALPHA
) -> Judgement:
    """Decide whether all of several means lie below the margin.

    Args:
        measurements: At least one; all of the same sets and queries.
        margin: The largest mean that does not matter.
        alpha: Level of this interim analysis, see ``group_sequential``.

    Returns:
        The verdict, with one effect: if *supported*, the largest; if *refuted*, the
        one with the smallest p of that; else the one with the largest p of *supported*.

    Raises:
        ClaimError: There is no measurement, or the margin is no positive number.
    """
    if not measurements:
        raise ClaimError(
            "No measurement was given. Expected at least one mean that must lie below "
            "the margin. Pass one, or dismiss the cell."
        )
    inside, outside = np.array(
        [
            p_values(one.values, margin, one_sided=True, unit=one.unit_values)
            for one in measurements
        ]
    ).T
    p_supported, p_refuted = map(float, combine(inside, outside))
    is_refuted = p_refuted < alpha <= p_supported
    if is_refuted:
        decides = int(outside.argmin())
    elif p_supported < alpha:
        decides = int(np.argmax([one.mean for one in measurements]))
    else:
        decides = int(inside.argmax())
    effect = equivalence_test(
        measurements[decides], margin=margin, one_sided=True, alpha=alpha
    ).effect
    gap = margin - effect.value
    judgement = decide(effect, p_supported, p_refuted, gap=gap, alpha=alpha)
    is_outside = effect.low is not None and effect.low > margin
    if judgement.verdict == "inconclusive" and is_outside:
        reason = (
            f"one interval lies outside the margin, but one of {len(measurements)} may "
            f"do so by chance; {judgement.reason}"
        )
        judgement = replace(judgement, reason=reason)
    return judgement


def combine(inside: Array, outside: Array) -> tuple[Array, Array]:
    """Combine p-values of several means into p of *supported* and of *refuted*.

    Args:
        inside: p of "inside the margin", shape (n_means, …).
        outside: p of "outside the margin", of the same shape.
    """
    counts = inside >= CLEARLY_INSIDE
    n = np.maximum(counts.sum(axis=0), 1)
    combined = simes(np.where(counts, outside, np.inf), n)
    factor = np.where(n > 1, SEVERAL_FACTOR, 1) / (1 - CLEARLY_INSIDE / ALPHA)
    p_refuted = outside[0] if len(outside) == 1 else factor * combined
    return inside.max(axis=0), np.minimum(1.0, p_refuted)


def intersection_union_test_at_bounds(
    measurements: Sequence[Measurement], *, margin: float, alpha: float
) -> Judgement:
    """Judge as above, and also at the bounds of measurements that are not exact."""
    measured = intersection_union_test(measurements, margin=margin, alpha=alpha)
    if all(one.is_exact for one in measurements):
        return measured
    bounds = [
        intersection_union_test(ends, margin=margin, alpha=alpha)
        for ends in (
            [one.at_least() for one in measurements],
            [one.at_most() for one in measurements],
        )
    ]
    return hold_at_bounds(measured, bounds, alpha=alpha)
