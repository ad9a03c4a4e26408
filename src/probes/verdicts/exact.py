"""Verdicts without sampling, and so without an interval and without p.

What algebra decides is judged by its largest error. A census, such as one of all the
matrices of a network, is judged by its mean.
"""

from __future__ import annotations

import math
from dataclasses import replace
from numbers import Real

import numpy as np

from probes.errors import ClaimError
from probes.measurement import Measurement
from probes.verdicts.judgement import Effect, Judgement


def tolerance_test(measurement: Measurement, *, tolerance: float) -> Judgement:
    """Decide a claim that holds by algebra: the largest value must be rounding.

    Args:
        measurement: A distance, 0 when the claim holds.
        tolerance: The largest rounding error, with its reason in the claim.
    """
    tolerance = require_margin(tolerance, "tolerance")
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


def census_test(advantage: Measurement, *, margin: float) -> Judgement:
    """Decide whether an advantage exceeds the margin in a census.

    Args:
        advantage: Of every part that there is; no part was sampled.
        margin: The mean advantage that it must exceed, in the same unit.
    """
    margin = require_margin(margin)
    effect = Effect(
        name=advantage.name,
        value=advantage.mean,
        unit=advantage.unit,
        margin=margin,
        n_sets=advantage.n_sets,
        n_queries=advantage.n_queries,
        sets=advantage.set_means,
    )
    return Judgement(
        verdict="supported" if effect.value > margin else "refuted", effect=effect
    )


def require_margin(margin: float, what: str = "margin") -> float:
    """Refuse a margin that is not a positive number; return it as a plain one.

    Raises:
        ClaimError: It is not a positive finite number.
    """
    is_number = isinstance(margin, Real) and not isinstance(margin, bool)
    if not (is_number and math.isfinite(margin) and margin > 0):
        raise ClaimError(
            f"The {what} is {margin!r}. Expected a positive number, chosen before the "
            f"run, with a reason. Pass {what}=…."
        )
    return float(margin)
