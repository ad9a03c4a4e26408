"""Intervals and p-values against textbook formulas, scipy and statsmodels."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from probes.measurement import Array
from probes.verdicts.crossed_means import (
    Estimate,
    estimate_mean,
    variance_components,
)
from probes.verdicts.false_discovery import benjamini_hochberg, holm

SEEDS = st.integers(0, 2**32 - 1)
BOUNDS = (-1.0, -0.2, 0.0, 0.3, 2.0)
SETS, QUERIES, REST = 0.5, 0.2, 0.3  # shares of the variance


def world(
    seed: int, *, n_sets: int = 10, n_queries: int = 40, mean: float = 0.0
) -> Array:
    """Draw crossed values of variance 1 around a mean."""
    rng = np.random.default_rng(seed)
    of_set = math.sqrt(SETS) * rng.normal(size=(n_sets, 1))
    of_query = math.sqrt(QUERIES) * rng.normal(size=(1, n_queries))
    rest = math.sqrt(REST) * rng.normal(size=(n_sets, n_queries))
    return np.asarray(mean + of_set + of_query + rest)


def textbook(values: Array) -> tuple[float, float, float, float]:
    """Add up the squares of the two-way layout without replication, as in textbooks."""
    a, b = values.shape
    correction = values.sum() ** 2 / (a * b)
    rows = (values.sum(axis=1) ** 2).sum() / b - correction
    columns = (values.sum(axis=0) ** 2).sum() / a - correction
    rest = (values**2).sum() - correction - rows - columns
    squares = rows / (a - 1), columns / (b - 1), rest / ((a - 1) * (b - 1))
    variance = squares[0] + squares[1] - squares[2]
    freedom = variance**2 / (
        squares[0] ** 2 / (a - 1)
        + squares[1] ** 2 / (b - 1)
        + squares[2] ** 2 / ((a - 1) * (b - 1))
    )
    smallest = min(squares[0], squares[1]) - squares[2]
    return math.sqrt(variance / (a * b)), freedom, values.mean(), smallest


@pytest.mark.parametrize("shape", [(10, 40), (3, 50), (25, 4), (2, 30)])
def test_error_and_freedom_are_those_of_the_two_way_layout(
    shape: tuple[int, int],
) -> None:
    values = world(5, n_sets=shape[0], n_queries=shape[1])
    error, freedom, mean, smallest = textbook(values)
    assert smallest > 0  # else the floor of the variance acts, tested below
    found = estimate_mean(values)
    assert (found.mean, found.error) == pytest.approx((mean, error), abs=1e-12)
    assert found.freedom == pytest.approx(max(1.0, freedom), rel=1e-9)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_interval_has_students_quantiles(level: float) -> None:
    error, freedom, mean, _ = textbook(world(1))
    half = stats.t.ppf((1 + level) / 2, freedom) * error
    expected = (mean - half, mean + half)
    assert estimate_mean(world(1)).interval(level) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("bound", BOUNDS)
def test_p_values_are_students_tails(bound: float) -> None:
    error, freedom, mean, _ = textbook(world(1))
    found, t = estimate_mean(world(1)), (mean - bound) / error
    assert found.p_above(bound) == pytest.approx(stats.t.sf(t, freedom), abs=1e-10)
    assert found.p_below(bound) == pytest.approx(stats.t.cdf(t, freedom), abs=1e-10)


@settings(deadline=None)
@given(seed=SEEDS, n_sets=st.integers(2, 30))
def test_one_query_is_the_paired_t_interval(seed: int, n_sets: int) -> None:
    values = world(seed, n_sets=n_sets, n_queries=1)
    expected = stats.ttest_1samp(values[:, 0], 0.0).confidence_interval(0.9)
    low, high = estimate_mean(values).interval(0.9)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-10)


@settings(deadline=None)
@given(seed=SEEDS, bound=st.sampled_from(BOUNDS), n_sets=st.integers(2, 30))
def test_one_query_has_the_p_values_of_the_t_test(
    seed: int, bound: float, n_sets: int
) -> None:
    values = world(seed, n_sets=n_sets, n_queries=1)
    found = estimate_mean(values)
    for side, p in (("greater", found.p_above(bound)), ("less", found.p_below(bound))):
        expected = stats.ttest_1samp(values[:, 0], bound, alternative=side).pvalue
        assert p == pytest.approx(expected, abs=1e-10)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, margin=st.sampled_from([0.1, 0.5, 2.0]))
def test_p_values_on_one_query_are_two_one_sided_t_tests(
    seed: int, margin: float
) -> None:
    weightstats = pytest.importorskip(
        "statsmodels.stats.weightstats",
        reason="statsmodels is the reference; install the extra 'dev'",
    )
    ours, theirs = world(seed, n_queries=2).T
    p, lower, upper = weightstats.ttost_paired(ours, theirs, -margin, margin)
    found = estimate_mean((ours - theirs)[:, None])
    inside = max(found.p_below(margin), found.p_above(-margin))
    assert inside == pytest.approx(p, abs=1e-10)
    assert found.p_above(margin) == pytest.approx(1 - upper[1], abs=1e-10)
    assert found.p_below(-margin) == pytest.approx(1 - lower[1], abs=1e-10)


@settings(deadline=None)
@given(seed=SEEDS)
def test_variance_is_never_below_one_factors_own(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(4, 5))  # no set, no query effect
    largest = max(
        5 * values.mean(axis=1).var(ddof=1), 4 * values.mean(axis=0).var(ddof=1)
    )
    assert estimate_mean(values).error ** 2 * 20 >= largest * (1 - 1e-12)


@settings(deadline=None)
@given(seed=SEEDS)
@example(seed=3)  # Satterthwaite's formula, with the variance floored, says 85.7
def test_freedom_is_at_most_that_of_the_values(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(4, 5))
    assert 1 <= estimate_mean(values).freedom <= 4 * 5 - 1


@settings(deadline=None)
@given(seed=SEEDS, scale=st.floats(0.01, 100), shift=st.floats(-100, 100))
def test_estimate_follows_shift_and_scale(
    seed: int, scale: float, shift: float
) -> None:
    values = world(seed, n_sets=4, n_queries=6)
    one, other = estimate_mean(values), estimate_mean(shift + scale * values)
    assert other.mean == pytest.approx(shift + scale * one.mean, abs=1e-9)
    assert other.error == pytest.approx(scale * one.error, rel=1e-6)
    assert other.freedom == pytest.approx(one.freedom, rel=1e-6)


@settings(deadline=None)
@given(seed=SEEDS)
def test_estimate_ignores_the_order_of_sets_and_queries(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = world(seed, n_sets=4, n_queries=6)
    mixed = values[rng.permutation(4)][:, rng.permutation(6)]
    one, other = estimate_mean(values), estimate_mean(mixed)
    assert other.mean == pytest.approx(float(one.mean), abs=1e-15)
    expected = (one.error, one.freedom)
    assert (other.error, other.freedom) == pytest.approx(expected, rel=1e-9)


@settings(deadline=None)
@given(
    values=hnp.arrays(
        np.float64,
        st.tuples(st.integers(2, 5), st.integers(1, 5)),
        elements=st.floats(-1e3, 1e3),
    ),
    levels=st.tuples(st.floats(0.01, 0.98), st.floats(0.01, 0.98)),
)
def test_intervals_nest_and_hold_the_mean(
    values: Array, levels: tuple[float, float]
) -> None:
    found = estimate_mean(values)
    inner, outer = (found.interval(level) for level in sorted(levels))
    assert outer[0] <= inner[0] <= found.mean <= inner[1] <= outer[1]
    assert found.p_above(found.mean + 1) >= found.p_above(found.mean - 1)


@settings(deadline=None)
@given(seed=SEEDS, level=st.sampled_from([0.8, 0.9, 0.95]))
def test_a_bound_at_the_intervals_end_has_the_tails_p(seed: int, level: float) -> None:
    found = estimate_mean(world(seed, n_sets=5, n_queries=7))
    low, high = found.interval(level)
    assert found.p_above(low) == pytest.approx((1 - level) / 2, abs=1e-9)
    assert found.p_below(high) == pytest.approx((1 - level) / 2, abs=1e-9)


def test_equal_values_have_no_error_and_certain_p_values() -> None:
    found = estimate_mean(np.full((3, 4), 0.25))
    assert (found.error, found.interval(0.9)) == (0.0, (0.25, 0.25))
    assert (found.p_above(0.2), found.p_below(0.2), found.p_above(0.25)) == (0, 1, 1)


@pytest.mark.parametrize("n_queries", [1, 7])
def test_one_set_leaves_the_mean_unbounded(n_queries: int) -> None:
    found = estimate_mean(world(0, n_sets=1, n_queries=n_queries))
    assert found.interval(0.9) == (-math.inf, math.inf)
    assert (found.p_above(-1e9), found.p_below(1e9)) == (1.0, 1.0)


def test_values_that_vary_over_sets_only_have_the_sets_error() -> None:
    by_set = np.array([1.0, 2.0, 4.0, 8.0])
    found = estimate_mean(np.repeat(by_set[:, None], 6, axis=1))
    assert found.error == pytest.approx(by_set.std(ddof=1) / 2)  # divided by √4
    assert found.freedom == pytest.approx(3.0)


def test_infinite_error_decides_nothing() -> None:
    mean, error, freedom, none = (np.array(v) for v in (5.0, math.inf, 1.0, 0.0))
    found = Estimate(mean=mean, error=error, freedom=freedom, skewness=none)
    assert (found.p_above(0.0), found.p_below(0.0)) == (1.0, 1.0)


def test_intervals_cover_the_mean_as_often_as_they_say() -> None:
    intervals = [estimate_mean(world(seed)).interval(0.9) for seed in range(1000)]
    covered = np.mean([low <= 0.0 <= high for low, high in intervals])
    assert abs(covered - 0.9) < 3 * math.sqrt(0.9 * 0.1 / 1000)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_adjusted_p_values_are_those_of_scipy(p_values: list[float]) -> None:
    expected = stats.false_discovery_control(p_values, method="bh")
    assert benjamini_hochberg(p_values) == pytest.approx(list(expected), abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=40))
def test_adjusting_keeps_the_ranks_and_never_lowers_p(p_values: list[float]) -> None:
    adjusted = benjamini_hochberg(p_values)
    ranked = sorted(zip(p_values, adjusted, strict=True))
    assert all(one[1] <= two[1] + 1e-15 for one, two in pairwise(ranked))
    assert all(p <= a + 1e-15 and a <= 1 for p, a in ranked)


def test_adjusted_p_values_of_benjamini_and_hochbergs_example() -> None:
    # By hand: p·n/rank = .04, .04, .0533, .041, then the least of those above.
    found = benjamini_hochberg([0.041, 0.01, 0.04, 0.02])
    assert found == pytest.approx([0.041, 0.04, 0.041, 0.04])


def test_numbers_as_large_as_1e100_have_an_interval() -> None:
    values = np.random.default_rng(0).normal(1.0, 0.1, (5, 7))
    plain, large = estimate_mean(values), estimate_mean(values * 1e100)
    assert large.freedom == pytest.approx(plain.freedom)
    assert large.error == pytest.approx(plain.error * 1e100)


# ------------------------------------------------------------------- skewness


def skewed(seed: int, shape: tuple[int, int] = (12, 30)) -> Array:
    """Draw values with a long tail above their mean."""
    rng = np.random.default_rng(seed)
    by_set = np.exp(rng.normal(size=(shape[0], 1)))
    return np.asarray(by_set + rng.exponential(size=shape))


def test_skewness_of_one_query_is_the_sample_skewness_over_the_root_of_n() -> None:
    values = skewed(0, (12, 1))
    g = stats.skew(values[:, 0], bias=False)  # k3 / k2^{3/2}, as of a sample
    expected = g / math.sqrt(12)
    assert estimate_mean(values).skewness == pytest.approx(expected, abs=1e-10)


@settings(deadline=None)
@given(seed=SEEDS)
def test_skewness_mirrors_with_the_values(seed: int) -> None:
    one, other = estimate_mean(skewed(seed)), estimate_mean(-skewed(seed))
    assert other.skewness == pytest.approx(-one.skewness, rel=1e-9)
    assert other.p_above(-2.0, widening=3.0) == pytest.approx(
        float(one.p_below(2.0, widening=3.0)), abs=1e-12
    )


@settings(deadline=None)
@given(seed=SEEDS, bound=st.floats(1.0, 6.0), widening=st.floats(0.0, 9.0))
def test_a_tail_never_lowers_a_p_value_that_may_decide(
    seed: int, bound: float, widening: float
) -> None:
    found = estimate_mean(skewed(seed))
    for p in (found.p_below, found.p_above):
        assert p(bound, widening=widening) >= min(p(bound), 0.5) - 1e-15


@settings(deadline=None)
@given(
    seed=SEEDS, widening=st.floats(0.1, 9.0), level=st.sampled_from([0.8, 0.9, 0.98])
)
def test_a_bound_at_a_skewed_intervals_end_has_the_tails_p(
    seed: int, widening: float, level: float
) -> None:
    found = estimate_mean(skewed(seed))
    low, high = found.interval(level, widening=widening)
    for p, end in ((found.p_below, high), (found.p_above, low)):
        left = p(float(end), widening=widening)
        assert left == pytest.approx((1 - level) / 2, abs=1e-9)


def test_skewness_towards_the_bound_widens_the_error_by_hand() -> None:
    # z = −2, skewness ½, counted twice: the error counts 1 + 2 · ½ times, at t with 9.
    mean, error, freedom, half = (np.array(v) for v in (-2.0, 1.0, 9.0, 0.5))
    found = Estimate(mean=mean, error=error, freedom=freedom, skewness=half)
    assert found.p_below(0.0, widening=2.0) == pytest.approx(stats.t.cdf(-1, 9))
    assert found.p_above(-4.0, widening=2.0) == pytest.approx(stats.t.sf(2, 9))


@settings(deadline=None)
@given(seed=SEEDS, widening=st.floats(0.0, 9.0))
def test_p_falls_without_end_as_the_mean_falls(seed: int, widening: float) -> None:
    found = estimate_mean(skewed(seed))
    bounds = [float(found.mean + k * found.error) for k in (1, 2, 4, 8, 16, 32, 64)]
    p = [float(found.p_below(bound, widening=widening)) for bound in bounds]
    assert all(later < earlier for earlier, later in pairwise(p))
    assert p[-1] < 0.05


def test_a_stack_is_estimated_as_its_matrices_are() -> None:
    stack = np.stack([skewed(seed) for seed in range(5)])
    together = estimate_mean(stack)
    for place, values in enumerate(stack):
        alone = estimate_mean(values)
        for name in ("mean", "error", "freedom", "skewness"):
            expected = pytest.approx(float(getattr(alone, name)), rel=1e-12)
            assert getattr(together, name)[place] == expected


def test_components_are_those_of_the_mean_squares() -> None:
    values = world(5)
    mean = values.mean()
    by_set = 40 * ((values.mean(axis=1) - mean) ** 2).sum() / 9
    by_query = 10 * ((values.mean(axis=0) - mean) ** 2).sum() / 39
    total = ((values - mean) ** 2).sum()
    rest = (total - 9 * by_set - 39 * by_query) / (9 * 39)
    sets, queries = (by_set - rest) / 40, (by_query - rest) / 10
    found = variance_components(values)
    assert found is not None
    assert (found.sets, found.queries, found.rest) == pytest.approx(
        (sets, queries, rest)
    )


@pytest.mark.parametrize("shape", [(1, 5), (5, 1)])
def test_one_set_or_one_query_has_no_components(shape: tuple[int, int]) -> None:
    assert variance_components(np.zeros(shape)) is None


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_holms_p_values_are_those_of_statsmodels(p_values: list[float]) -> None:
    multitest = pytest.importorskip(
        "statsmodels.stats.multitest",
        reason="statsmodels is the reference; install the extra 'dev'",
    )
    expected = multitest.multipletests(p_values, method="holm")[1]
    assert holm(p_values) == pytest.approx(list(expected), abs=1e-12)
