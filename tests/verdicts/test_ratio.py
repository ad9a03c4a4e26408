"""Fieller's interval of a ratio of crossed means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from probes.measurement import Array
from probes.verdicts.crossed_means import Estimate, estimate_mean
from probes.verdicts.ratio import ratio_interval


def world(seed: int, *, n_sets: int, n_queries: int, mean: float = 0.0) -> Array:
    """Draw values with effects of sets and of queries, of variance 1 together."""
    rng = np.random.default_rng(seed)
    of_set = math.sqrt(0.3) * rng.normal(size=(n_sets, 1))
    of_query = math.sqrt(0.1) * rng.normal(size=(1, n_queries))
    rest = math.sqrt(0.6) * rng.normal(size=(n_sets, n_queries))
    return np.asarray(mean + of_set + of_query + rest)


def crossed_ratio(seed: int, theta: float) -> tuple[Array, Array]:
    below = world(seed, n_sets=8, n_queries=12, mean=5.0)
    noise = world(seed + 10_000, n_sets=8, n_queries=12)
    return theta * below + noise, below


def test_ratio_interval_covers_the_true_ratio_as_often_as_it_says() -> None:
    covered = []
    for seed in range(300):
        low, high = ratio_interval(*crossed_ratio(seed, 0.8), level=0.9)
        covered.append(low <= 0.8 <= high)
    assert abs(np.mean(covered) - 0.9) < 3 * math.sqrt(0.9 * 0.1 / 300)


def test_ratio_intervals_ends_are_where_the_contrast_is_just_compatible() -> None:
    above, below = crossed_ratio(3, 0.8)
    low, high = ratio_interval(above, below, level=0.9)
    for end, p in ((low, Estimate.p_above), (high, Estimate.p_below)):
        contrast = estimate_mean(above - end * below)
        assert p(contrast, 0.0) == pytest.approx(0.05, abs=1e-6)


def test_ratio_interval_with_one_query_is_fiellers_closed_form() -> None:
    # Fieller 1954: the roots of (b̄² − t²s_bb)θ² − 2(āb̄ − t²s_ab)θ + ā² − t²s_aa.
    above, below = (values[:, :1] for values in crossed_ratio(1, 0.8))
    spread = np.cov(above[:, 0], below[:, 0]) / 8 * stats.t.ppf(0.95, 7) ** 2
    a, b = above.mean(), below.mean()
    quadratic = [b * b - spread[1, 1], 2 * (spread[0, 1] - a * b), a * a - spread[0, 0]]
    roots = sorted(np.roots(quadratic))
    assert ratio_interval(above, below, level=0.9) == pytest.approx(roots, abs=1e-9)


def test_ratio_of_proportional_arms_is_a_point() -> None:
    below = np.full((4, 5), 2.0)
    assert ratio_interval(0.5 * below, below, level=0.9) == pytest.approx((0.5, 0.5))


def test_ratio_over_one_set_is_unbounded() -> None:
    above, below = (values[:1] for values in crossed_ratio(1, 0.8))
    assert ratio_interval(above, below, level=0.9) == (-math.inf, math.inf)
