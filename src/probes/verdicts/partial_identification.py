"""What is left of a verdict when values are known only between two ends.

Of a large vocabulary answers are kept in part (see ``vocabulary``), and a distance is
then known up to what the rest hides. A verdict stands if it is the same as measured, at
the least and at the largest values; all that lies between is sampled as before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from probes.measurement import UNBOUNDED, Measurement
from probes.verdicts.equivalence import judge_ceiling
from probes.verdicts.judgement import Judgement, Verdict


def judge_at_ends(
    judged: Callable[..., Judgement],
    measurement: Measurement,
    *,
    alpha: float,
    **given: Any,
) -> Judgement:
    """Judge a measurement, and at its ends where it is not exact.

    Args:
        judged: Judges values.
        measurement: The values.
        alpha: Level of this look, see ``sequential``.
        given: What else ``judged`` is given, such as a margin.
    """
    judged = partial(judged, alpha=alpha, **given)
    found = judged(measurement)
    if measurement.is_exact:
        return found
    ends = [judged(measurement.at_least()), judged(measurement.at_most())]
    return settle(found, ends, alpha=alpha)


def judge_ceiling_at_ends(
    similarity: Measurement,
    floors: Mapping[str, Measurement],
    ceiling: Measurement,
    *,
    margin: float,
    alpha: float,
) -> Judgement:
    """Judge a similarity between floor and ceiling, and at the ends of all three.

    A learner is furthest from the ceiling where it is least like ICL and the bounds are
    as high as they may be.

    Args:
        similarity: Of ICL and the learner.
        floors: The same of arms that learned nothing, by name.
        ceiling: The same of ICL and ICL.
        margin: Share of the way from floor to ceiling that may be missing.
        alpha: Level of this look, see ``sequential``.
    """
    judged = partial(judge_ceiling, margin=margin, alpha=alpha)
    arms = list(floors.values())
    found = judged(similarity, floors=arms, ceiling=ceiling)
    if all(one.is_exact for one in (similarity, ceiling, *arms)):
        return found
    high = [arm.at_most() for arm in arms]
    low = [arm.at_least() for arm in arms]
    ends = [
        judged(similarity.at_least(), floors=high, ceiling=ceiling.at_most()),
        judged(similarity.at_most(), floors=low, ceiling=ceiling.at_least()),
    ]
    return settle(found, ends, alpha=alpha)


def settle(found: Judgement, ends: Sequence[Judgement], *, alpha: float) -> Judgement:
    """Keep of a verdict what holds at all ends too; else say that it is undecided.

    Every p is the largest: the cell counts in the correction for what it is worth at
    its worst end.

    Args:
        found: The verdict as measured.
        ends: The verdicts at the ends.
        alpha: Level of this look, see ``sequential``.
    """
    if found.verdict == "not_applicable":
        return found
    every = (found, *ends)
    p_supported = max(_p(one.p_supported) for one in every)
    p_refuted = max(_p(one.p_refuted) for one in every)
    signs = {one.effect.value > 0 for one in every}
    if found.effect.has_two_sides and len(signs) > 1:
        p_refuted = 1.0  # outside on either side is inside somewhere between
    verdict: Verdict = "inconclusive"
    if found.verdict == "supported" and p_supported < alpha:
        verdict = "supported"
    if found.verdict == "refuted" and p_refuted < alpha:
        verdict = "refuted"
    p = p_refuted if verdict == "refuted" else p_supported
    return replace(
        found,
        verdict=verdict,
        effect=replace(found.effect, p=p),
        p_supported=p_supported,
        p_refuted=p_refuted,
        reason=found.reason if verdict == found.verdict else _told(found, ends),
    )


def _p(p: float | None) -> float:
    return 1.0 if p is None else p


def _told(found: Judgement, ends: Sequence[Judgement]) -> str:
    verdicts = " and ".join(
        f"{one.verdict.replace('_', ' ')} at {one.effect.value:.3g}" for one in ends
    )
    return (
        f"{found.verdict} as measured, but answers are kept in part: at the ends "
        f"between which the truth lies it would be {verdicts}"
    )


def tell_width(measurements: Sequence[Measurement]) -> str:
    """Say how far the truth may lie from what a row shows; empty where it is exact."""
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
    told = "; ".join(
        f"{name} may be {_size(below)} less or {_size(above)} more"
        for name, (below, above) in widest.items()
    )
    return f"answers are kept in part: {told} than measured, at the most"


def _size(gap: float) -> str:
    return "any number" if gap >= UNBOUNDED / 2 else f"{gap:.2g}"
