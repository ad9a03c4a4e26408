"""Bounds of measures if only part of each answer is kept.

Sums over the vocabulary of truncated answers are estimates (see
``observations.token_sums``). Their errors are independent from query to query, so the
mean over a cell is known better than any of its values. The bounds are those of the
mean: every value is moved by twice the mean's standard error, up or down. A bound is
the value itself if the answers are whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from probes.measurement import UNBOUNDED, Array, Measurement
from probes.observations.token_sums import ERRORS_WIDE, TokenSum


def reach_of_mean(errors: Array) -> float:
    """Give half the width of the bounds of a mean over sets and queries.

    Args:
        errors: Standard errors of the values, independent of each other.
    """
    return float(ERRORS_WIDE * np.sqrt((errors**2).sum()) / errors.size)


def measure_sum(
    measure: Callable[[Array], Measurement], summed: TokenSum
) -> Measurement:
    """Measure a sum over tokens, and its bounds.

    Args:
        measure: Makes the measurement from the sums, and is monotonic.
        summed: The sums.
    """
    measured = measure(summed.values)
    if summed.is_exact:
        return measured
    reach = reach_of_mean(summed.errors)
    ends = [measure(summed.values + side * reach).values for side in (-1, 1)]
    return replace(measured, least=np.minimum(*ends), most=np.maximum(*ends))


def bound_relative_sum(
    ratio: Measurement, summed: TokenSum, scale: TokenSum
) -> Measurement:
    """Bound a sum over tokens relative to the mean of another sum."""
    if summed.is_exact and scale.is_exact:
        return ratio
    reach, mean = reach_of_mean(summed.errors), float(scale.values.mean())
    lowest = mean - reach_of_mean(scale.errors)
    highest = mean + reach_of_mean(scale.errors)
    if lowest <= 0:  # the denominator may be 0
        values = summed.values
        return replace(
            ratio, least=np.zeros_like(values), most=np.full_like(values, UNBOUNDED)
        )
    least = np.maximum(summed.values - reach, 0.0) / highest
    return replace(ratio, least=least, most=(summed.values + reach) / lowest)


def bound_agreement(
    agreement: Measurement, product: TokenSum, squares: tuple[TokenSum, TokenSum]
) -> Measurement:
    """Bound ⟨a, b⟩ over the larger of ‖a‖² and ‖b‖².

    The larger of two estimates and a quotient of estimates are biased, so the errors do
    not average out: each value has bounds of its own.
    """
    if product.is_exact and all(one.is_exact for one in squares):
        return agreement
    reach = ERRORS_WIDE * product.errors
    ends = [
        np.maximum(*(one.values + side * ERRORS_WIDE * one.errors for one in squares))
        for side in (-1, 1)
    ]
    least = _quotient(product.values - reach, np.maximum(ends[0], 0.0), ends[1])
    most = -_quotient(-product.values - reach, np.maximum(ends[0], 0.0), ends[1])
    return replace(agreement, least=least, most=most)


def _quotient(product: Array, shortest: Array, longest: Array) -> Array:
    """Divide by the length that gives the smaller quotient, which is at least −1."""
    length = np.where(product < 0, shortest, longest)
    quotient = product / np.where(length > 0, length, np.inf)
    return np.maximum(np.where((length == 0) & (product < 0), -1.0, quotient), -1.0)
