"""Power, planned from variances, against the verdicts of simulated worlds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.measurement import Measurement
from probes.verdicts.crossed_means import Components, estimate_mean, variance_components
from probes.verdicts.equivalence import equivalence_test
from probes.verdicts.power import (
    MOST_SETS,
    equivalence_power,
    power,
    sets_for_equivalence,
    sets_needed,
    standard_error,
)
from probes.verdicts.thresholds import ALPHA, FEW_SETS

PARTS = Components(sets=0.3, queries=0.1, rest=0.6)
SETTINGS = {"n_queries": 40, "alpha": 0.05}


def worlds(n: int, n_sets: int, mean: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    sizes = ((n, n_sets, 1), (n, 1, 40), (n, n_sets, 40))
    parts = (PARTS.sets, PARTS.queries, PARTS.rest)
    noise = sum(
        math.sqrt(v) * rng.normal(size=size)
        for v, size in zip(parts, sizes, strict=True)
    )
    return np.asarray(mean + noise)


def test_error_is_the_spread_of_means() -> None:
    means = worlds(4000, 10, 0.0).mean(axis=(1, 2))
    assert standard_error(PARTS, 10, 40) == pytest.approx(means.std(), rel=0.04)


@pytest.mark.parametrize("n_sets", [10, 20, 40])
def test_power_is_the_share_of_worlds_that_are_decided(n_sets: int) -> None:
    found = estimate_mean(worlds(4000, n_sets, -0.5, seed=n_sets)).p_below(0.0) < 0.05
    planned = power(PARTS, gap=0.5, n_sets=n_sets, **SETTINGS)
    assert planned == pytest.approx(found.mean(), abs=0.05)


@pytest.mark.parametrize("mean", [0.0, 0.3])
@pytest.mark.parametrize("n_sets", [10, 20])
def test_power_within_is_the_share_of_worlds_that_are_judged_inside(
    n_sets: int, mean: float
) -> None:
    found = estimate_mean(worlds(4000, n_sets, mean, seed=n_sets))
    inside = (found.p_below(0.6) < 0.05) & (found.p_above(-0.6) < 0.05)
    planned = equivalence_power(
        PARTS, effect=mean, margin=0.6, n_sets=n_sets, **SETTINGS
    )
    assert planned == pytest.approx(inside.mean(), abs=0.06)


def test_power_within_has_no_favourite_side() -> None:
    plus, minus = (
        equivalence_power(PARTS, effect=e, margin=0.6, n_sets=10, **SETTINGS)
        for e in (0.2, -0.2)
    )
    assert plus == pytest.approx(minus)


def test_a_mean_beyond_the_margin_is_never_judged_within() -> None:
    sizes = {"effect": 0.7, "margin": 0.6, **SETTINGS}
    assert equivalence_power(PARTS, n_sets=10_000, **sizes) < 0.05
    assert sets_for_equivalence(PARTS, target_power=0.8, **sizes) is None


@settings(deadline=None)
@given(
    gap=st.floats(0.2, 3.0),
    sets=st.floats(0.0, 2.0),
    rest=st.floats(0.0, 2.0),
)
def test_the_sets_needed_are_the_least_that_suffice(
    gap: float, sets: float, rest: float
) -> None:
    parts = Components(sets=sets, queries=0.0, rest=rest)
    needed = sets_needed(parts, gap=gap, target_power=0.8, **SETTINGS)
    assert needed is not None
    assert power(parts, gap=gap, n_sets=needed, **SETTINGS) >= 0.8
    if needed > 2:
        assert power(parts, gap=gap, n_sets=needed - 1, **SETTINGS) < 0.8


def test_queries_that_differ_are_not_overcome_by_sets() -> None:
    parts = Components(sets=0.1, queries=40.0, rest=0.1)
    assert sets_needed(parts, gap=0.5, target_power=0.8, **SETTINGS) is None
    assert power(parts, gap=0.5, n_sets=MOST_SETS, **SETTINGS) < 0.8


def test_values_that_do_not_vary_need_two_sets() -> None:
    nothing = Components(sets=0.0, queries=0.0, rest=0.0)
    assert sets_needed(nothing, gap=0.1, target_power=0.8, **SETTINGS) == 2
    assert power(nothing, gap=-0.1, n_sets=5, **SETTINGS) == 0.0


def test_an_undecided_cell_says_how_many_sets_decide_it() -> None:
    drawn = worlds(1, 10, 0.0)[0]
    values = drawn - drawn.mean() + 0.8
    found = equivalence_test(
        Measurement(name="gap", unit="", values=values), margin=1.0
    )
    parts = variance_components(values)
    assert found.verdict == "inconclusive"
    assert parts is not None
    needed = sets_needed(parts, gap=0.2, n_queries=40, alpha=ALPHA, target_power=0.8)
    assert needed is not None
    assert needed > FEW_SETS
    assert f"about {needed} sets would decide it alone ({needed - 10} more)" in (
        found.reason
    )


def test_a_cell_that_sets_cannot_decide_asks_for_queries() -> None:
    by_query = np.linspace(-30, 30, 40)[None, :] + 1e-3 * np.arange(12)[:, None]
    values = by_query - by_query.mean() + 0.9
    found = equivalence_test(
        Measurement(name="gap", unit="", values=values), margin=1.0
    )
    assert found.verdict == "inconclusive"
    assert "no number of sets decides; more queries do" in found.reason
