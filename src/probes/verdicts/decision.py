"""From an estimate to p-values, and from p-values to a verdict.

Every sampled verdict is made here: what the tests of equivalence, superiority and the
ceiling have in common.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from probes.measurement import Array
from probes.verdicts.crossed_means import Estimate, estimate_mean
from probes.verdicts.judgement import Effect, Judgement, Verdict
from probes.verdicts.power import explain_inconclusive
from probes.verdicts.ratio import ratio_interval
from probes.verdicts.thresholds import (
    FEW_FACTOR,
    FEW_SETS,
    LEAST_QUERIES,
    LEAST_SETS,
    POWER,
    WIDENING,
    are_few,
)


def _contrast(values: Array, bound: float, unit: Array | None) -> Estimate:
    """Estimate a mean minus a bound, and let the error of an estimated unit count.

    The error of the unit counts as often as the smaller of mean and bound. At the bound
    the two are the same (Fieller's contrast); a mean of 0 is 0 in any unit.
    """
    if unit is None:
        return estimate_mean(values - bound)
    mean = values.mean(axis=(-2, -1), keepdims=True)
    counted = np.where(np.abs(mean) < abs(bound), mean, bound)
    return estimate_mean(values - bound - counted * (unit - 1.0))


def p_values(
    values: Array, margin: float, *, one_sided: bool, unit: Array | None = None
) -> tuple[Array, Array]:
    """Compute p of "inside the margin" and of "outside the margin".

    Args:
        values: One matrix of sets × queries, or a stack of them.
        margin: The largest difference that does not matter.
        one_sided: Ask only that the mean is below the margin.
        unit: ``Measurement.unit_values``.
    """
    upper = _contrast(values, margin, unit)
    inside = upper.p_below(0.0, widening=WIDENING)
    outside = upper.p_above(0.0, widening=WIDENING)
    if not one_sided:
        lower = _contrast(values, -margin, unit)
        inside = np.maximum(inside, lower.p_above(0.0, widening=WIDENING))
        other = lower.p_below(0.0, widening=WIDENING)
        outside = 2 * np.minimum(outside, other)
    factor = FEW_FACTOR if are_few(values.shape) else 1
    return np.minimum(1.0, factor * inside), np.minimum(1.0, factor * outside)


def interval(
    values: Array, level: float, unit: Array | None = None
) -> tuple[float | None, float | None]:
    """Compute the interval of a mean in its unit; None where it has no end.

    Where the unit was estimated, the end further from 0 takes the unit's error at the
    mean, and the nearer end takes it at that end (Fieller), as :func:`p_values` does.
    """
    mean = float(values.mean())
    if unit is not None and mean < 0.0:
        low, high = interval(-values, level, unit)
        return None if high is None else -high, None if low is None else -low
    at_mean = values if unit is None else values - mean * (unit - 1.0)
    ends = estimate_mean(at_mean).interval(level, widening=WIDENING)
    lower, upper = map(float, ends)
    if unit is not None:
        nearer, _ = ratio_interval(values, unit, level=level, widening=WIDENING)
        lower = nearer if nearer >= -mean else lower
    return finite_interval((lower, upper))


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
    reason = too_few(effect)
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


def too_few(effect: Effect) -> str:
    """Say that there are too few sets or queries to estimate a spread, if so."""
    if effect.n_sets < LEAST_SETS and effect.counts_groups:
        return (
            f"the spread of {effect.n_sets} groups of rows is unknown; add groups to "
            f"the data until there are {FEW_SETS}, or omit --new-groups"
        )
    if effect.n_sets < LEAST_SETS:
        return (
            f"the spread of {effect.n_sets} demonstration sets is unknown; pass --sets "
            f"{FEW_SETS}"
        )
    if effect.n_queries < LEAST_QUERIES:
        return (
            f"{effect.n_queries} queries may hide a failure on rare ones; pass "
            f"--queries {LEAST_QUERIES}"
        )
    return ""


def finite_interval(ends: tuple[float, float]) -> tuple[float | None, float | None]:
    """Replace infinite bounds by None, which JSON can hold."""
    low, high = ends
    return (low if math.isfinite(low) else None, high if math.isfinite(high) else None)
