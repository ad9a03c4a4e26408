"""The best of given rates and numbers of passes, where none is searched for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from probes.learners.rate_lattice import Curve
from probes.learners.rate_search import Optimum
from probes.learners.walked_rates import TOLERANCE


def best_of_given(
    curves: Mapping[float, Curve],
    *,
    start: float,
    resolution: float,
    passes_are_fixed: bool = False,
) -> Optimum:
    """Choose the rate and the number of passes with the least criterion.

    Of points that are equally good, the one with the fewest passes is chosen, and of
    these the one with the lowest rate. It is interior only if lower and higher rates
    and numbers of passes were given too (no number is lower than 1): where a study ends
    at an edge, GD may be better beyond it.

    Args:
        curves: The criterion by passes, for each given rate; infinite where training
            has failed.
        start: The criterion before training.
        resolution: The largest difference of the criterion that does not matter,
            besides the share ``rate_search.TOLERANCE``.
        passes_are_fixed: Whether the learner has a single number of passes by its
            definition, as one pass of SGD has, so that no other could be better.
    """
    points = [
        (r, n, value) for r, curve in curves.items() for n, value in curve.items()
    ]
    least = min(value for _, _, value in points)
    goal = max(least * (1 + TOLERANCE), least + resolution)
    equal = [(n, r, value) for r, n, value in points if value <= goal]
    passes, rate, value = min(equal)
    curve = curves[rate]
    earlier = min([start, *(v for n, v in curve.items() if n <= max(curve) / 2)])
    edges = list(_edges_in_rate(curves, rate))
    if not passes_are_fixed:
        edges += _edges_in_passes(curve, passes)
    return Optimum(
        rate=rate,
        passes=passes,
        value=value,
        is_interior=not edges,
        edge="; ".join(edges),
        gain=max(0.0, earlier - min(curve.values())) if math.isfinite(value) else 0.0,
    )


def _edges_in_rate(curves: Mapping[float, Curve], rate: float) -> Iterable[str]:
    for end, word in ((max(curves), "highest"), (min(curves), "lowest")):
        if rate == end:
            yield f"{rate:g} is the {word} rate given"


def _edges_in_passes(curve: Curve, passes: int) -> Iterable[str]:
    if passes == max(curve):
        yield f"{passes} passes are the most given"
    if passes == min(curve) > 1:
        yield f"{passes} passes are the fewest given"
