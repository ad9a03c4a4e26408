"""Bounds of measures of truncated answers: known answers."""

from __future__ import annotations

import numpy as np
import pytest

from probes.measurement import UNBOUNDED, Measurement
from probes.measures.bounds import (
    bound_agreement,
    bound_relative_sum,
    measure_sum,
    reach_of_mean,
)
from probes.observations.token_sums import TokenSum


def summed(value: float, error: float) -> TokenSum:
    """Give one value and one error to two sets and two queries."""
    return TokenSum(values=np.full((2, 2), value), errors=np.full((2, 2), error))


def named(values: np.ndarray) -> Measurement:
    return Measurement(name="half", unit="", values=values)


def ends(found: Measurement) -> list[float]:
    return [found.at_least().mean, found.at_most().mean]


def test_reach_is_twice_the_standard_error_of_the_mean() -> None:
    assert reach_of_mean(np.array([[0.3, 0.4]])) == pytest.approx(0.5)


def test_sum_is_bounded_by_the_reach_of_its_mean() -> None:
    assert ends(measure_sum(named, summed(0.5, 0.1))) == pytest.approx([0.4, 0.6])


def test_similarity_falls_where_its_sum_rises() -> None:
    found = measure_sum(lambda sums: named(1 - 2 * sums), summed(0.3, 0.1))
    assert ends(found) == pytest.approx([0.2, 0.6])


def test_exact_sums_have_no_bounds() -> None:
    exact = summed(0.5, 0.0)
    half = named(exact.values)
    assert measure_sum(named, exact).is_exact
    assert bound_relative_sum(half, exact, exact).is_exact
    assert bound_agreement(half, exact, (exact, exact)).is_exact


def test_ratio_is_bounded_by_the_ends_of_both_sums() -> None:
    ratio = bound_relative_sum(
        named(np.full((2, 2), 0.5)), summed(0.5, 0.1), summed(1, 0.2)
    )
    assert ends(ratio) == pytest.approx([0.4 / 1.2, 0.6 / 0.8])


def test_ratio_to_what_may_be_nothing_has_no_upper_bound() -> None:
    ratio = bound_relative_sum(
        named(np.full((2, 2), 0.5)), summed(0.5, 0.1), summed(0.1, 0.2)
    )
    assert ends(ratio) == pytest.approx([0, UNBOUNDED])


@pytest.mark.parametrize(
    ("product", "wanted"),
    [(0.5, [0.3 / 1.2, 0.7 / 0.8]), (-0.5, [-0.7 / 0.8, -0.3 / 1.2])],
)
def test_agreement_is_bounded_value_by_value(
    product: float, wanted: list[float]
) -> None:
    squares = (summed(1, 0.1), summed(0.5, 0.1))
    value = named(np.full((2, 2), product))
    found = bound_agreement(value, summed(product, 0.1), squares)
    assert ends(found) == pytest.approx(wanted)
