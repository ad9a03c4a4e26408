"""Power: how many demonstration sets decide a cell, given measured variances.

Student's t with one degree of freedom less than the number of sets, shifted by the
effect: the normal approximation to the noncentral t. It ignores skewness, which costs
power too, and the correction over the matrix. A test compares it with simulations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from probes.verdicts.crossed_means import Components
from probes.verdicts.judgement import Effect

MOST_SETS = 100_000
"""No number above this is advised: the cell is out of reach."""


def standard_error(components: Components, n_sets: int, n_queries: int) -> float:
    """Compute the standard error of the mean over ``n_sets`` and ``n_queries``."""
    return math.sqrt(
        components.sets / n_sets
        + components.queries / n_queries
        + components.rest / (n_sets * n_queries)
    )


def power(
    components: Components, *, gap: float, n_sets: int, n_queries: int, alpha: float
) -> float:
    """Compute the power of a one-sided test.

    Args:
        components: Variances of one value.
        gap: Distance of the true mean from the margin, on the tested side.
        n_sets: Demonstration sets, at least 2.
        n_queries: Queries of each.
        alpha: Level of the one-sided test.
    """
    from scipy.special import ndtr, stdtrit

    error = standard_error(components, n_sets, n_queries)
    if error == 0.0:
        return 1.0 if gap > 0 else 0.0
    return float(ndtr(gap / error - stdtrit(n_sets - 1, 1 - alpha)))


def equivalence_power(
    components: Components,
    *,
    effect: float,
    margin: float,
    n_sets: int,
    n_queries: int,
    alpha: float,
) -> float:
    """Compute the power of an equivalence test.

    Args:
        components: Variances of one value.
        effect: The true mean.
        margin: The largest difference that does not matter.
        n_sets: Demonstration sets, at least 2.
        n_queries: Queries of each.
        alpha: Level of each of the two one-sided tests.
    """
    sizes: dict[str, Any] = {"n_sets": n_sets, "n_queries": n_queries, "alpha": alpha}
    below, above = (
        power(components, gap=margin - side * effect, **sizes) for side in (1, -1)
    )
    return max(0.0, below + above - 1)


def sets_needed(
    components: Components,
    *,
    gap: float,
    n_queries: int,
    alpha: float,
    target_power: float,
) -> int | None:
    """Find the smallest number of sets that gives a one-sided test its target power.

    Returns:
        The number; None if no number up to ``MOST_SETS`` does, because the spread over
        queries alone is too large for the gap.
    """
    sizes: dict[str, Any] = {"gap": gap, "n_queries": n_queries, "alpha": alpha}
    return _least(lambda n: power(components, n_sets=n, **sizes) >= target_power)


def sets_for_equivalence(
    components: Components,
    *,
    effect: float,
    margin: float,
    n_queries: int,
    alpha: float,
    target_power: float,
) -> int | None:
    """Find the smallest number of sets for an equivalence test; None as above."""
    sizes: dict[str, Any] = {"n_queries": n_queries, "alpha": alpha}
    sizes |= {"effect": effect, "margin": margin}
    return _least(
        lambda n: equivalence_power(components, n_sets=n, **sizes) >= target_power
    )


def _least(is_enough: Callable[[int], bool]) -> int | None:
    low, high = 1, 2
    while not is_enough(high):
        low, high = high, 2 * high
        if low >= MOST_SETS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def explain_inconclusive(
    effect: Effect, *, gap: float, alpha: float, target_power: float, least: int
) -> str:
    """Say that the interval reaches the margin, and how many sets would decide.

    Args:
        effect: With the variances of what was tested.
        gap: Distance of the effect from the margin.
        alpha: Level of the test.
        target_power: Chance of a decision, if the measured effect is the true one.
        least: The smallest number of sets that is ever advised.
    """
    straddles = _straddles(effect)
    if effect.components is None or gap == 0.0:
        return straddles
    kind = "groups of rows" if effect.counts_groups else "sets"
    needed = _needed(effect, effect.components, gap, alpha, target_power)
    if needed is None:
        return (
            f"{straddles}; at this effect no number of {kind} decides; more queries do"
        )
    needed = max(needed, least, effect.n_sets + 1)
    more = needed - effect.n_sets
    return (
        f"{straddles}; at this effect about {needed} {kind} would decide it alone "
        f"({more} more)"
    )


def _straddles(effect: Effect) -> str:
    """Say where the interval lies; a refutation on two sides takes a wider one."""
    straddles = "the interval is neither wholly inside the margin nor clearly outside"
    margin, level = effect.margin, effect.level
    if not effect.has_two_sides or margin is None or level is None:
        return straddles
    is_above = effect.low is not None and effect.low > margin
    is_below = effect.high is not None and effect.high < -margin
    if not is_above and not is_below:
        return straddles
    shown, taken = (f"{100 * one:.3g}%" for one in (level, (1 + level) / 2))
    return (
        f"the {shown} interval lies just outside the margin, but a refutation may be "
        f"on either side, and the {taken} interval that it takes reaches the margin"
    )


def _needed(
    effect: Effect, parts: Components, gap: float, alpha: float, target_power: float
) -> int | None:
    sizes: dict[str, Any] = {
        "n_queries": effect.n_queries,
        "target_power": target_power,
    }
    margin = effect.margin
    if not effect.has_two_sides or margin is None:
        return sets_needed(parts, gap=gap, alpha=alpha, **sizes)
    if abs(effect.value) > margin:  # its p counts both sides
        return sets_needed(parts, gap=gap, alpha=alpha / 2, **sizes)
    return sets_for_equivalence(
        parts, effect=effect.value, margin=margin, alpha=alpha, **sizes
    )
