"""The equivalence test: whether a mean lies inside a margin.

The interval inside the margin: supported. Outside: refuted. Straddling: inconclusive.
Failing to find a difference is never support. Two one-sided tests (TOST: Schuirmann
1987, *J. Pharmacokinet. Biopharm.* 15:657).
"""

from __future__ import annotations

from dataclasses import replace

from probes.measurement import Measurement
from probes.verdicts.crossed_means import variance_components
from probes.verdicts.decision import decide, interval, p_values
from probes.verdicts.exact import require_margin
from probes.verdicts.judgement import Effect, Judgement
from probes.verdicts.thresholds import ALPHA, level_with


def describe(measurement: Measurement) -> Effect:
    """Give a measurement with its interval and no verdict."""
    return _effect(measurement)


def equivalence_test(
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
        one_sided: Ask only that the mean is below the margin (non-inferiority).
        alpha: Level of this interim analysis, see ``group_sequential``.

    Raises:
        ClaimError: The margin is not a positive number.
    """
    margin = require_margin(margin)
    values, unit = measurement.values, measurement.unit_values
    inside, outside = p_values(values, margin, one_sided=one_sided, unit=unit)
    tested = values if unit is None else values - values.mean() * (unit - 1.0)
    effect = replace(
        _effect(measurement, margin=margin, alpha=alpha),
        sets=measurement.set_means,
        components=variance_components(tested),
        has_two_sides=not one_sided,
    )
    nearest = effect.value if one_sided else abs(effect.value)
    gap = margin - nearest
    return decide(effect, float(inside), float(outside), gap=gap, alpha=alpha)


def _effect(
    measurement: Measurement, *, margin: float | None = None, alpha: float = ALPHA
) -> Effect:
    level = level_with(measurement.values.shape, alpha)
    low, high = interval(measurement.values, level, measurement.unit_values)
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
