"""What would decide an undecided cell: more sets, or more queries.

Kept out of ``verdict``, whose thresholds come in as arguments.
"""

from __future__ import annotations

from typing import Any

from probes.judgement import Effect
from probes.power import sets_needed, sets_needed_within
from probes.statistics import Components


def undecided(
    effect: Effect, *, gap: float, alpha: float, wanted: float, least: int
) -> str:
    """Say that the interval straddles the margin, and how many sets would decide.

    Args:
        effect: With the variances of what was tested.
        gap: Distance of the effect from the margin.
        alpha: Level of the test.
        wanted: Chance of a decision that is asked for, the measured effect being true.
        least: Sets below which no number is advised.
    """
    straddles = "the interval is neither wholly inside the margin nor clearly outside"
    if effect.components is None or gap == 0.0:
        return straddles
    needed = _needed(effect, effect.components, gap, alpha, wanted)
    if needed is None:
        return f"{straddles}; at this effect no number of sets decides, more queries do"
    needed = max(needed, least, effect.n_sets + 1)
    more = needed - effect.n_sets
    return (
        f"{straddles}; at this effect more sets decide it alone (about {needed}, "
        f"{more} more)"
    )


def _needed(
    effect: Effect, parts: Components, gap: float, alpha: float, wanted: float
) -> int | None:
    sizes: dict[str, Any] = {"n_queries": effect.n_queries, "wanted": wanted}
    margin = effect.margin
    if not effect.has_two_sides or margin is None:
        return sets_needed(parts, gap=gap, alpha=alpha, **sizes)
    if abs(effect.value) > margin:  # its p counts both sides
        return sets_needed(parts, gap=gap, alpha=alpha / 2, **sizes)
    return sets_needed_within(
        parts, effect=effect.value, margin=margin, alpha=alpha, **sizes
    )
