"""Looking more than once: levels against published ones, and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from probes.errors import OptionError
from probes.verdicts.group_sequential import GroupSequentialDesign

EQUAL = {n: GroupSequentialDesign(sizes=tuple(range(1, n + 1))) for n in range(1, 6)}
DOUBLED = GroupSequentialDesign(sizes=(10, 20, 40, 80))


# Pocock 1977, table 1; Jennison and Turnbull 2000, table 2.1, C_P(K, .05), two-sided:
# a one-sided test at half the level, since no run crosses both bounds.
@pytest.mark.parametrize(
    ("n", "bound"), [(2, 2.178), (3, 2.289), (4, 2.361), (5, 2.413)]
)
def test_equal_looks_have_pococks_bounds(n: int, bound: float) -> None:
    assert -ndtri(EQUAL[n].nominal_level(0.025)) == pytest.approx(bound, abs=1e-3)


def test_one_look_is_an_ordinary_test() -> None:
    once = GroupSequentialDesign(sizes=(10,))
    assert (once.nominal_level(0.05), once.overall_p(0.3), once.next_size(10)) == (
        0.05,
        0.3,
        None,
    )


def test_any_of_the_looks_errs_as_often_as_all_may() -> None:
    rng = np.random.default_rng(0)
    sums = np.cumsum(rng.normal(size=(200_000, 80)), axis=1)
    sizes = np.array(DOUBLED.sizes)
    z = sums[:, sizes - 1] / np.sqrt(sizes)
    bound = -ndtri(DOUBLED.nominal_level(0.05))
    error = math.sqrt(0.05 * 0.95 / len(z))
    assert (z > bound).any(axis=1).mean() == pytest.approx(0.05, abs=3 * error)
    assert (z > -ndtri(0.05)).any(axis=1).mean() > 0.12  # what peeking would do


@settings(deadline=None)
@given(st.floats(1e-12, 0.999), st.integers(1, 6))
def test_an_overall_p_lies_between_a_looks_own_and_bonferronis(
    p: float, n: int
) -> None:
    looks = GroupSequentialDesign(sizes=tuple(5 << k for k in range(n)))
    assert p * (1 - 1e-9) <= looks.overall_p(p) <= min(1.0, n * p) * (1 + 1e-9)


@settings(deadline=None)
@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_smaller_p_stays_smaller_over_all_looks(p: float, q: float) -> None:
    low, high = sorted((p, q))
    assert DOUBLED.overall_p(low) <= DOUBLED.overall_p(high) + 1e-12


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.01, 1e-6])
def test_the_nominal_level_is_what_all_looks_make_of_it(alpha: float) -> None:
    assert DOUBLED.overall_p(DOUBLED.nominal_level(alpha)) == pytest.approx(
        alpha, rel=1e-9
    )


def test_a_level_depends_on_the_ratio_of_looks_alone() -> None:
    other = GroupSequentialDesign(sizes=(1, 2, 4, 8))
    assert DOUBLED.nominal_level(0.05) == pytest.approx(other.nominal_level(0.05))


@pytest.mark.parametrize(
    ("first", "most", "sizes"),
    [
        (10, 20, (10, 20)),
        (10, 39, (10, 20)),
        (10, 80, (10, 20, 40, 80)),
        (3, 13, (3, 6, 12)),
    ],
)
def test_looks_double_up_to_the_most(
    first: int, most: int, sizes: tuple[int, ...]
) -> None:
    looks = GroupSequentialDesign.doubling(first, most)
    assert looks.sizes == sizes
    assert looks.next_size(first) == 2 * first


def test_a_maximum_without_a_second_look_is_refused() -> None:
    wording = (
        r"--until-decided is 19, .* Expected at least 20, .* Pass --until-decided 20"
    )
    with pytest.raises(OptionError, match=wording):
        GroupSequentialDesign.doubling(10, 19)
