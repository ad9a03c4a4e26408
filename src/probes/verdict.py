"""From measurements to verdicts: every threshold of the project stands here.

A verdict is an equivalence test. The interval inside the margin: supported; outside:
refuted; straddling: inconclusive. Failing to find a difference is never support.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from probes.errors import ClaimError, ShapeError
from probes.measurement import Measurement
from probes.statistics import Estimate, crossed_bootstrap, estimate_mean, ratio_interval

Verdict = Literal["supported", "refuted", "inconclusive", "not_applicable"]

ALPHA = 0.05
"""Chance of a false *supported* at the margin that a single cell may have."""
LEVEL = 1 - 2 * ALPHA
"""Level of intervals: two one-sided tests at ALPHA are one 90 % interval."""
RESAMPLES = 2000
"""Crossed-bootstrap resamples: Monte Carlo error of a 5 % tail is then .5 %."""
LEAST_SETS = 3
"""Fewer demonstration sets leave the spread over sets practically unknown."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One line of numbers in a row; None where a number does not apply."""

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    level: float | None = None
    margin: float | None = None
    floor: float | None = None
    ceiling: float | None = None
    n_sets: int
    n_queries: int
    p: float | None = None
    p_adjusted: float | None = None
    sets: tuple[float, ...] | None = None
    """The effect in each demonstration set, rounded; None beside the main effect."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A verdict with the effect it rests on.

    Attributes:
        verdict: The word.
        effect: The numbers; its ``p`` belongs to the verdict (see ``p_*``).
        p_supported: p of "inside the margin".
        p_refuted: p of "outside the margin".
        reason: Why it is inconclusive or not applicable; empty otherwise.
    """

    verdict: Verdict
    effect: Effect
    p_supported: float | None = None
    p_refuted: float | None = None
    reason: str = ""


def describe(measurement: Measurement) -> Effect:
    """Give a measurement with its interval and no verdict."""
    return _effect(measurement, estimate_mean(measurement.values))


def judge_exactly(measurement: Measurement, *, tolerance: float) -> Judgement:
    """Decide a claim that holds by algebra: the largest value must be rounding.

    Args:
        measurement: A distance, 0 when the claim holds.
        tolerance: The largest rounding error, with its reason in the claim.
    """
    require_margin(tolerance, "tolerance")
    by_set = np.abs(measurement.values).max(axis=1, keepdims=True)
    largest = float(by_set.max())
    effect = Effect(
        name=f"largest {measurement.name}",
        value=largest,
        unit=measurement.unit,
        margin=tolerance,
        n_sets=measurement.n_sets,
        n_queries=measurement.n_queries,
        sets=replace(measurement, values=by_set).set_means,
    )
    return Judgement(
        verdict="supported" if largest <= tolerance else "refuted", effect=effect
    )


def judge_within(
    measurement: Measurement, *, margin: float, one_sided: bool = False
) -> Judgement:
    """Decide whether a difference lies within ±margin, or only below the margin.

    Args:
        measurement: A difference, 0 when the claim holds.
        margin: The largest difference that does not matter, in the same unit.
        one_sided: Ask only that the mean is below the margin.
    """
    require_margin(margin)
    values = measurement.values
    estimate = estimate_mean(values)
    inside = estimate.p_below(margin)
    outside = estimate.p_above(margin)
    if not one_sided:
        inside = max(inside, estimate.p_above(-margin))
        outside = min(1.0, 2 * min(outside, estimate.p_below(-margin)))
    low, high = estimate.interval(LEVEL)
    boot = crossed_bootstrap(values, level=LEVEL, n=RESAMPLES, seed=0)
    lowest = -math.inf if one_sided else -margin
    effect = _effect(measurement, estimate, margin=margin)
    return _conclude(
        replace(effect, sets=measurement.set_means),
        inside,
        outside,
        within=(lowest < low and high < margin, lowest < boot[0] and boot[1] < margin),
        n_sets=measurement.n_sets,
    )


def judge_ceiling(
    measurement: Measurement,
    *,
    floors: Sequence[Measurement],
    ceiling: Measurement,
    margin: float,
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
    few = measurement.n_sets < LEAST_SETS and room.mean() > 0.0
    if not few and not estimate_mean(room).p_above(0.0) < ALPHA:
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
    estimate = estimate_mean(contrast)
    low, high = _finite(ratio_interval(above, room, level=LEVEL))
    effect = Effect(
        name=f"{measurement.name}, share of the way from floor to ceiling",
        value=float(above.mean() / room.mean()),
        unit="fraction",
        low=low,
        high=high,
        level=LEVEL,
        margin=margin,
        floor=floor.mean,
        ceiling=ceiling.mean,
        n_sets=measurement.n_sets,
        n_queries=measurement.n_queries,
        sets=replace(measurement, values=above / room.mean()).set_means,
    )
    boot = crossed_bootstrap(contrast, level=LEVEL, n=RESAMPLES, seed=0)
    return _conclude(
        effect,
        estimate.p_above(0.0),
        estimate.p_below(0.0),
        within=(estimate.interval(LEVEL)[0] > 0.0, boot[0] > 0.0),
        without=(estimate.interval(LEVEL)[1] < 0.0, boot[1] < 0.0),
        n_sets=measurement.n_sets,
    )


def is_gained(gain: Measurement) -> bool:
    """Say whether a gain is above 0: the gate of every claim about ICL.

    Args:
        gain: What ICL has more of than an arm without it.
    """
    if gain.n_sets < LEAST_SETS:
        return gain.mean > 0.0  # too few to tell; the verdict will say so
    return estimate_mean(gain.values).p_above(0.0) < ALPHA


def require_margin(margin: float, what: str = "margin") -> None:
    """Refuse a margin that decides nothing.

    Raises:
        ClaimError: It is not a positive finite number.
    """
    if not (isinstance(margin, int | float) and math.isfinite(margin) and margin > 0):
        raise ClaimError(
            f"The {what} is {margin!r}. Expected a positive number, chosen before the "
            f"run and with its reason beside it. Pass {what}=…."
        )


def _effect(
    measurement: Measurement, estimate: Estimate, *, margin: float | None = None
) -> Effect:
    low, high = _finite(estimate.interval(LEVEL))
    return Effect(
        name=measurement.name,
        value=measurement.mean,
        unit=measurement.unit,
        low=low,
        high=high,
        level=LEVEL,
        margin=margin,
        n_sets=measurement.n_sets,
        n_queries=measurement.n_queries,
    )


def _conclude(
    effect: Effect,
    p_supported: float,
    p_refuted: float,
    *,
    within: tuple[bool, bool],
    without: tuple[bool, bool] | None = None,
    n_sets: int,
) -> Judgement:
    """Combine the primary rule and the bootstrap; disagreement decides nothing."""
    verdict: Verdict = "inconclusive"
    reason = "the interval is neither wholly inside the margin nor clearly outside"
    checked_out = not within[1] if without is None else without[1]
    if n_sets < LEAST_SETS:
        reason = f"{n_sets} demonstration sets cannot tell their spread; pass --sets 10"
    elif p_supported < ALPHA and within[0]:
        verdict, reason = ("supported", "") if within[1] else (verdict, _DISAGREE)
    elif p_refuted < ALPHA:
        verdict, reason = ("refuted", "") if checked_out else (verdict, _DISAGREE)
    p = p_refuted if verdict == "refuted" else p_supported
    return Judgement(
        verdict=verdict,
        effect=replace(effect, p=p),
        p_supported=p_supported,
        p_refuted=p_refuted,
        reason=reason,
    )


_DISAGREE = "the variance-component rule and the crossed bootstrap disagree"


def _finite(interval: tuple[float, float]) -> tuple[float | None, float | None]:
    low, high = interval
    return (low if math.isfinite(low) else None, high if math.isfinite(high) else None)
