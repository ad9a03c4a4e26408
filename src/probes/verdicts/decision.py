"""From an estimate to p-values, and from p-values to a verdict.

Every sampled verdict is made here: what the tests of equivalence, superiority and the
ceiling have in common.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from probes.measurement import Array, Measurement
from probes.verdicts.crossed_means import Estimate, estimate_mean
from probes.verdicts.judgement import Effect, Judgement, Verdict
from probes.verdicts.power import explain_inconclusive
from probes.verdicts.thresholds import (
    ALPHA,
    FEW_FACTOR,
    FEW_QUERIES,
    FEW_SETS,
    LEAST_QUERIES,
    LEAST_SETS,
    POWER,
    TAIL,
    are_few,
)


def p_values(
    estimate: Estimate, margin: float, *, one_sided: bool, shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """Compute p of "inside the margin" and of "outside the margin".

    Args:
        estimate: Of one matrix, or of a stack of them.
        margin: The largest difference that does not matter.
        one_sided: Ask only that the mean is below the margin.
        shape: Demonstration sets and queries, the last two; see ``FEW_SETS``.
    """
    inside = estimate.p_below(margin, tail=TAIL)
    outside = estimate.p_above(margin, tail=TAIL)
    if not one_sided:
        inside = np.maximum(inside, estimate.p_above(-margin, tail=TAIL))
        other = estimate.p_below(-margin, tail=TAIL)
        outside = 2 * np.minimum(outside, other)
    factor = FEW_FACTOR if are_few(shape) else 1
    return np.minimum(1.0, factor * inside), np.minimum(1.0, factor * outside)


def is_clearly_positive(gain: Measurement, *, alpha: float = ALPHA) -> bool:
    """Say whether a gain is above 0: the gate of every claim about ICL.

    Args:
        gain: What ICL has more of than an arm without it.
        alpha: Level of this interim analysis, see ``group_sequential``.
    """
    if gain.n_sets < LEAST_SETS or gain.n_queries < LEAST_QUERIES:
        return gain.mean > 0.0  # too few to test; the verdict will say so
    _, above = p_values(
        estimate_mean(gain.values), 0.0, one_sided=True, shape=gain.values.shape
    )
    return bool(above < alpha)


def decide(
    effect: Effect, p_supported: float, p_refuted: float, *, gap: float, alpha: float
) -> Judgement:
    """Give the verdict of an effect.

    Args:
        effect: The numbers that the verdict rests on.
        p_supported: p of "inside the margin".
        p_refuted: p of "outside the margin".
        gap: Distance of the effect from the margin.
        alpha: Level of this interim analysis.
    """
    verdict: Verdict = "inconclusive"
    reason = _too_few(effect)
    if not reason and p_supported < alpha:
        verdict = "supported"
    elif not reason and p_refuted < alpha:
        verdict = "refuted"
    elif not reason:
        reason = explain_inconclusive(
            effect, gap=abs(gap), alpha=alpha, target_power=POWER, least=FEW_SETS
        )
    p = p_refuted if verdict == "refuted" else p_supported
    return Judgement(
        verdict=verdict,
        effect=replace(effect, p=p),
        p_supported=p_supported,
        p_refuted=p_refuted,
        reason=reason,
    )


def _too_few(effect: Effect) -> str:
    """Say that there are too few sets or queries to estimate a spread, if so."""
    if effect.n_sets < LEAST_SETS:
        return (
            f"the spread of {effect.n_sets} demonstration sets is unknown; pass --sets "
            f"{FEW_SETS}"
        )
    if effect.n_queries < LEAST_QUERIES:
        return (
            f"the spread of {effect.n_queries} queries is unknown; pass --queries "
            f"{FEW_QUERIES}"
        )
    return ""


def finite_interval(interval: tuple[Any, Any]) -> tuple[float | None, float | None]:
    """Replace infinite bounds by None, which JSON can hold."""
    low, high = map(float, interval)
    return (low if math.isfinite(low) else None, high if math.isfinite(high) else None)
