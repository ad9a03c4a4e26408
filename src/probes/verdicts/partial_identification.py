"""Partial identification: verdicts on values that are known only up to bounds.

If the vocabulary is large, only part of an answer is kept (see
``observations.truncation``), and a distance is known only up to bounds. A verdict
stands if it is the same as measured, at the lower and at the upper bound.

Reference: Manski 2003, *Partial Identification of Probability Distributions*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from probes.measurement import UNBOUNDED, Measurement
from probes.verdicts.ceiling import ceiling_test
from probes.verdicts.judgement import Judgement, Verdict


def judge_at_bounds(
    test: Callable[..., Judgement],
    measurement: Measurement,
    *,
    alpha: float,
    **options: Any,
) -> Judgement:
    """Judge a measurement, and also its bounds if it is not exact.

    Args:
        test: Gives the verdict of a measurement.
        measurement: The values.
        alpha: Level of this interim analysis, see ``group_sequential``.
        options: Further arguments of ``test``, such as a margin.
    """
    judge = partial(test, alpha=alpha, **options)
    measured = judge(measurement)
    if measurement.is_exact:
        return measured
    bounds = [judge(measurement.at_least()), judge(measurement.at_most())]
    return hold_at_bounds(measured, bounds, alpha=alpha)


def ceiling_test_at_bounds(
    similarity: Measurement,
    floors: Mapping[str, Measurement],
    ceilings: Sequence[Measurement],
    *,
    margin: float,
    alpha: float,
) -> Judgement:
    """Judge a similarity between floor and ceiling, and the bounds of all three.

    A learner is furthest from the ceiling if it is least like ICL, and if floors and
    ceilings are as high as they may be.

    Args:
        similarity: Of ICL and the learner.
        floors: The same of arms that learned nothing, by name.
        ceilings: The same of ICL and ICL, and of what else bounds ICL that is GD.
        margin: Share of the way from floor to ceiling that may be missing.
        alpha: Level of this interim analysis, see ``group_sequential``.
    """
    arms = list(floors.values())

    def judge(
        ours: Measurement, low: Sequence[Measurement], high: Sequence[Measurement]
    ) -> Judgement:
        return ceiling_test(
            ours,
            floors=low,
            ceiling=high[0],
            further_ceilings=high[1:],
            margin=margin,
            alpha=alpha,
        )

    measured = judge(similarity, arms, ceilings)
    if all(one.is_exact for one in (similarity, *ceilings, *arms)):
        return measured
    furthest = judge(
        similarity.at_least(),
        [arm.at_most() for arm in arms],
        [one.at_most() for one in ceilings],
    )
    nearest = judge(
        similarity.at_most(),
        [arm.at_least() for arm in arms],
        [one.at_least() for one in ceilings],
    )
    return hold_at_bounds(measured, [furthest, nearest], alpha=alpha)


def hold_at_bounds(
    measured: Judgement, bounds: Sequence[Judgement], *, alpha: float
) -> Judgement:
    """Keep a verdict if it holds at all bounds; otherwise it is inconclusive.

    Every p is the largest of all bounds: so the cell enters the correction over the
    matrix.

    Args:
        measured: The verdict as measured.
        bounds: The verdicts at the bounds.
        alpha: Level of this interim analysis, see ``group_sequential``.
    """
    if measured.verdict == "not_applicable":
        return measured
    every = (measured, *bounds)
    p_supported = max(_p(one.p_supported) for one in every)
    p_refuted = max(_p(one.p_refuted) for one in every)
    signs = {one.effect.value > 0 for one in every}
    if measured.effect.has_two_sides and len(signs) > 1:
        p_refuted = 1.0  # outside on either side is inside somewhere between
    verdict: Verdict = "inconclusive"
    if measured.verdict == "supported" and p_supported < alpha:
        verdict = "supported"
    if measured.verdict == "refuted" and p_refuted < alpha:
        verdict = "refuted"
    p = p_refuted if verdict == "refuted" else p_supported
    return replace(
        measured,
        verdict=verdict,
        effect=replace(measured.effect, p=p),
        p_supported=p_supported,
        p_refuted=p_refuted,
        reason=measured.reason
        if verdict == measured.verdict
        else _disagreement(measured, bounds),
    )


def _p(p: float | None) -> float:
    return 1.0 if p is None else p


def _disagreement(measured: Judgement, bounds: Sequence[Judgement]) -> str:
    verdicts = " and ".join(
        f"{one.verdict.replace('_', ' ')} at {one.effect.value:.3g}" for one in bounds
    )
    return (
        f"{measured.verdict} as measured, but only part of each answer is kept: at the "
        f"bounds between which the truth lies it would be {verdicts}"
    )


def remark_on_bounds(measurements: Sequence[Measurement]) -> str:
    """Say how far the truth may lie from what a row shows; empty if it is exact."""
    widest: dict[str, tuple[float, float]] = {}
    for one in measurements:
        if not one.is_exact:
            below, above = widest.get(one.name, (0.0, 0.0))
            widest[one.name] = (
                max(below, one.mean - one.at_least().mean),
                max(above, one.at_most().mean - one.mean),
            )
    if not widest:
        return ""
    reach = "; ".join(
        f"{name} may be {_size(below)} less or {_size(above)} more"
        for name, (below, above) in widest.items()
    )
    return f"only part of each answer is kept: {reach} than measured, at the most"


def _size(gap: float) -> str:
    return "any number" if gap >= UNBOUNDED / 2 else f"{gap:.2g}"
