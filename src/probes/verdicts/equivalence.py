"""From measurements to verdicts: every threshold of the project stands here.

A verdict is an equivalence test. The interval inside the margin: supported; outside:
refuted; straddling: inconclusive. Failing to find a difference is never support.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from probes.errors import ClaimError, ShapeError
from probes.measurement import Array, Measurement
from probes.verdicts.crossed_means import (
    Estimate,
    estimate_mean,
    ratio_interval,
    variance_components,
)
from probes.verdicts.exact import require_margin
from probes.verdicts.judgement import Effect, Judgement, Verdict
from probes.verdicts.power import undecided
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
    level_with,
)


def describe(measurement: Measurement) -> Effect:
    """Give a measurement with its interval and no verdict."""
    return _effect(measurement, estimate_mean(measurement.values))


def judge_within(
    measurement: Measurement,
    *,
    margin: float,
    one_sided: bool = False,
    alpha: float = ALPHA,
) -> Judgement:
    """Decide whether a difference lies within ±margin, or only below the margin.

    Args:
        measurement: A difference, 0 when the claim holds.
        margin: The largest difference that does not matter, in the same unit.
        one_sided: Ask only that the mean is below the margin.
        alpha: Level of this look, see ``sequential``.
    """
    require_margin(margin)
    estimate = estimate_mean(measurement.values)
    inside, outside = p_values(
        estimate, margin, one_sided=one_sided, shape=measurement.values.shape
    )
    effect = replace(
        _effect(measurement, estimate, margin=margin, alpha=alpha),
        sets=measurement.set_means,
        components=variance_components(measurement.values),
        has_two_sides=not one_sided,
    )
    nearest = effect.value if one_sided else abs(effect.value)
    gap = margin - nearest
    return _conclude(effect, float(inside), float(outside), gap=gap, alpha=alpha)


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


def judge_ceiling(
    measurement: Measurement,
    *,
    floors: Sequence[Measurement],
    ceiling: Measurement,
    margin: float,
    alpha: float = ALPHA,
) -> Judgement:
    """Decide whether a similarity reaches its ceiling, on the way from its floor.

    The effect is (similarity − floor) / (ceiling − floor): 0 is no more than an arm
    that learned nothing, 1 is as like ICL as ICL is like itself. The floor is the
    largest of the floors by mean. Supported: the effect is above 1 − margin, tested on
    the contrast similarity − floor − (1 − margin)(ceiling − floor), in which the errors
    of floor and ceiling count.

    Args:
        measurement: Similarity of ICL and the learner.
        floors: The same similarity for arms without learning.
        ceiling: The same similarity of ICL and ICL.
        margin: Share of the way that may be missing, 0 < margin < 1.
        alpha: Level of this look, see ``sequential``.
    """
    require_margin(margin)
    if margin >= 1:
        raise ClaimError(
            f"The margin is {margin!r}. Expected the share of the way from floor to "
            f"ceiling that may be missing, below 1. Pass margin=0.1, say."
        )
    if not floors:
        raise ClaimError(
            f"{measurement.name!r} is judged without a floor. Expected at least one "
            f"arm that learned nothing. Pass floors=[…]."
        )
    floor = max(floors, key=lambda arm: arm.mean)
    for arm in (floor, ceiling):
        if arm.values.shape != measurement.values.shape:
            raise ShapeError(
                f"{measurement.name!r} has shape {measurement.values.shape} and an arm "
                f"has {arm.values.shape}. Expected the same sets and queries. Measure "
                f"all arms on one cell."
            )
    above = measurement.values - floor.values
    room = ceiling.values - floor.values
    if not is_gained(replace(ceiling, values=room), alpha=alpha):
        effect = Effect(
            name=measurement.name,
            value=measurement.mean,
            unit=measurement.unit,
            margin=margin,
            floor=floor.mean,
            ceiling=ceiling.mean,
            n_sets=measurement.n_sets,
            n_queries=measurement.n_queries,
        )
        return Judgement(
            verdict="not_applicable",
            effect=effect,
            reason=f"the ceiling ({ceiling.mean:.3g}) is not above the floor "
            f"({floor.mean:.3g}), so {measurement.name} cannot tell learning from none",
        )
    contrast = above - (1 - margin) * room
    outside, inside = p_values(
        estimate_mean(contrast), 0.0, one_sided=True, shape=contrast.shape
    )
    level = level_with(contrast.shape, alpha)
    low, high = _finite(ratio_interval(above, room, level=level, tail=TAIL))
    effect = Effect(
        name=f"{measurement.name}, share of the way from floor to ceiling",
        value=float(above.mean() / room.mean()),
        unit="fraction",
        low=low,
        high=high,
        level=level,
        margin=margin,
        floor=floor.mean,
        ceiling=ceiling.mean,
        n_sets=measurement.n_sets,
        n_queries=measurement.n_queries,
        sets=replace(measurement, values=above / room.mean()).set_means,
        components=variance_components(contrast / room.mean()),
    )
    gap = effect.value - (1 - margin)
    return _conclude(effect, float(inside), float(outside), gap=gap, alpha=alpha)


def is_gained(gain: Measurement, *, alpha: float = ALPHA) -> bool:
    """Say whether a gain is above 0: the gate of every claim about ICL.

    Args:
        gain: What ICL has more of than an arm without it.
        alpha: Level of this look, see ``sequential``.
    """
    if gain.n_sets < LEAST_SETS or gain.n_queries < LEAST_QUERIES:
        return gain.mean > 0.0  # too few to tell; the verdict will say so
    _, above = p_values(
        estimate_mean(gain.values), 0.0, one_sided=True, shape=gain.values.shape
    )
    return bool(above < alpha)


def _effect(
    measurement: Measurement,
    estimate: Estimate,
    *,
    margin: float | None = None,
    alpha: float = ALPHA,
) -> Effect:
    level = level_with(measurement.values.shape, alpha)
    low, high = _finite(estimate.interval(level, tail=TAIL))
    return Effect(
        name=measurement.name,
        value=measurement.mean,
        unit=measurement.unit,
        low=low,
        high=high,
        level=level,
        margin=margin,
        n_sets=measurement.n_sets,
        n_queries=measurement.n_queries,
    )


def _conclude(
    effect: Effect, p_supported: float, p_refuted: float, *, gap: float, alpha: float
) -> Judgement:
    verdict: Verdict = "inconclusive"
    reason = ""
    if effect.n_sets < LEAST_SETS:
        reason = (
            f"{effect.n_sets} demonstration sets cannot tell their spread; pass "
            f"--sets {FEW_SETS}"
        )
    elif effect.n_queries < LEAST_QUERIES:
        reason = (
            f"{effect.n_queries} queries cannot tell their spread; pass "
            f"--queries {FEW_QUERIES}"
        )
    elif p_supported < alpha:
        verdict = "supported"
    elif p_refuted < alpha:
        verdict = "refuted"
    else:
        reason = undecided(
            effect, gap=abs(gap), alpha=alpha, wanted=POWER, least=FEW_SETS
        )
    p = p_refuted if verdict == "refuted" else p_supported
    return Judgement(
        verdict=verdict,
        effect=replace(effect, p=p),
        p_supported=p_supported,
        p_refuted=p_refuted,
        reason=reason,
    )


def _finite(interval: tuple[Any, Any]) -> tuple[float | None, float | None]:
    low, high = map(float, interval)
    return (low if math.isfinite(low) else None, high if math.isfinite(high) else None)
