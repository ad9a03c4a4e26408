"""The search finds the optimum of surfaces whose optimum is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.learners.gradient_walks import half_octaves
from probes.learners.rate_bracket import MOST_STRIDES
from probes.learners.rate_choice import _choose
from probes.learners.rate_lattice import Curve, lattice_rate, nearest_step
from probes.learners.rate_search import FIRST_PASSES, Optimum, RateSearch
from probes.learners.search_effort import SearchEffort, SearchLimits
from probes.learners.walked_rates import TOLERANCE
from probes.measures import Nearest

Surface = Callable[[float, int], float]
MOST_AT_FIRST = 2 * MOST_STRIDES + 1
"""Rates at which a search looks for a place to begin."""
LIMITS = SearchLimits(passes=256, total=2048)


def search(
    surface: Surface,
    centre: float,
    *,
    start: float = 1.5,
    limits: SearchLimits = LIMITS,
    resolution: float = 0.0,
    vanishes_below: float = 0.0,
) -> tuple[Optimum, RateSearch]:
    """Search on a surface as if each of its points were a training."""

    def walk(rate: float, passes: int) -> Curve:
        return {n: surface(rate, n) for n in half_octaves(passes)}

    found = RateSearch(
        walk=walk,
        start=start,
        limits=limits,
        resolution=resolution,
        has_vanished=lambda rate: rate < vanishes_below,
    )
    return found.find(centre), found


def valley(best: float, *, most: float = math.inf) -> Surface:
    """Learn and overfit along rate × passes, best at one rate; diverge above another.

    At the best rate the optimum is after about 24 passes.
    """

    def loss(rate: float, n: int) -> float:
        if rate > most:
            return math.inf
        done = 0.1 * n * rate / best
        off = 0.1 * math.log10(rate / best) ** 2
        return 0.5 + math.exp(-done) + 0.02 * done**2 + off * done / (1 + done)

    return loss


def brute_force(surface: Surface) -> float:
    steps, passes = range(-32, 13), half_octaves(256)
    return min(surface(lattice_rate(s), n) for s in steps for n in passes)


@pytest.mark.parametrize("most", [3.0, math.inf])
@pytest.mark.parametrize("off", [0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0])
@pytest.mark.parametrize("best", [1e-4, 0.02, 0.1])
def test_an_interior_optimum_is_found_from_two_decades_away(
    best: float, off: float, most: float
) -> None:
    surface = valley(best, most=most * best)
    optimum, found = search(surface, best * off)
    assert optimum.is_interior, optimum
    assert not optimum.edge
    assert optimum.value <= 1.01 * brute_force(surface)
    assert sum(map(max, found.curves.values())) < 12 * 256 / 3


def test_rates_that_diverge_bound_the_search_from_above() -> None:
    optimum, found = search(valley(0.1, most=0.05), 1.0)
    assert optimum.rate == 0.03
    assert optimum.is_interior
    assert 0.1 in found.rates


def test_where_training_only_harms_the_optimum_is_hardly_to_train() -> None:
    optimum, found = search(lambda rate, n: 1.5 + rate * n, 0.1, start=1.5)
    assert optimum.value <= 1.5 * (1 + 2 * TOLERANCE)
    assert optimum.passes == 1
    assert len(found.curves) < LIMITS.rates


def test_where_training_does_nothing_at_any_rate_no_optimum_is_interior() -> None:
    optimum, found = search(lambda *_: 1.5, 0.1)
    assert (optimum.passes, optimum.value) == (1, 1.5)
    assert not optimum.is_interior
    assert optimum.edge.startswith("training changes nothing up to rate")
    assert min(found.rates) >= 0.01
    assert max(found.rates) > 1e20


def test_not_to_train_is_an_optimum_where_higher_rates_harm() -> None:
    optimum, _ = search(lambda rate, n: 1.5 + 1e4 * rate * n, 1e-9)
    assert optimum.is_interior
    assert optimum.value <= 1.5 * (1 + TOLERANCE)
    assert 1e-9 < optimum.rate <= 1e-6


@pytest.mark.parametrize("value", [0.0, 1e-8])
def test_a_criterion_that_cannot_fall_is_not_searched(value: float) -> None:
    optimum, found = search(
        lambda rate, n: value / (1 + rate * n), 0.1, start=value, resolution=1e-6
    )
    assert (optimum.rate, optimum.passes) == (0.1, 1)
    assert optimum.is_interior
    assert not optimum.edge
    assert found.rates == [0.1]


@dataclass
class FlatWalks:
    """Walks on a surface that is rounding everywhere, as of a network without learning.

    It answers everything wrong, in context as well as before and after training.
    """

    starts: tuple[float, ...] = (3.6e-8,)
    criteria: tuple[Nearest, ...] = (Nearest(measure="label_total_variation"),)
    rates: list[float] = field(default_factory=list)

    def walk(self, rate: float, passes: int) -> None:
        self.rates.append(rate)

    def curve(self, rate: float, column: int) -> Curve:
        return {n: self.starts[column] / (1 + 1e-3 * rate * n) for n in (1, 2, 3, 4)}

    def has_vanished(self, rate: float) -> bool:
        return False

    def facts(self, column: int) -> dict[str, float]:
        return {}


def test_distances_that_are_rounding_lead_to_no_absurd_rate() -> None:
    walks: Any = FlatWalks()
    chosen = _choose(walks, 0, 0.01, LIMITS)
    assert (chosen["rate"], chosen["is_interior"]) == (0.01, True)
    assert set(walks.rates) == {0.01}


def test_a_criterion_at_its_goal_that_training_harms_asks_for_lower_rates() -> None:
    optimum, found = search(
        lambda rate, n: 1e3 * rate * n, 0.1, start=0.0, resolution=1e-6
    )
    assert optimum.is_interior
    assert optimum.value <= 1e-6
    assert 0.1 in found.rates
    assert len(found.curves) < LIMITS.rates


def test_a_rate_that_moves_no_weight_is_not_chosen_at_the_goal() -> None:
    optimum, _ = search(
        lambda rate, n: 0.0 if rate >= 0.5 else math.inf,
        0.1,
        start=0.0,
        resolution=1e-6,
        vanishes_below=0.5,
    )
    assert optimum.rate >= 0.5
    assert optimum.value == 0.0


@pytest.mark.parametrize("off", [1e-12, 1e-9, 1e-6, 1e-4, 1e4, 1e6, 1e9, 1e12])
def test_a_search_that_begins_far_off_finds_where_training_acts(off: float) -> None:
    optimum, found = search(valley(0.02, most=0.1), 0.02 * off)
    assert optimum.is_interior, optimum
    assert optimum.value <= 1.01 * brute_force(valley(0.02, most=0.1))
    assert sum(map(max, found.curves.values())) < 12 * 256 / 3


def test_rates_whose_updates_vanish_are_too_low_although_they_fail() -> None:
    """No weight changes below .01, so the criterion is infinite there."""
    seen = valley(0.1)

    def surface(rate: float, n: int) -> float:
        return math.inf if rate < 0.01 else seen(rate, n)

    optimum, _ = search(surface, 1e-6, vanishes_below=0.01)
    assert optimum.is_interior
    assert optimum.value <= 1.01 * brute_force(seen)


def test_where_lower_rates_are_as_good_they_are_not_followed() -> None:
    """The direction of an update does not depend on a small rate."""
    optimum, found = search(lambda rate, n: 0.3 + rate * n, 1e-4, start=1.0)
    assert optimum.is_interior
    assert optimum.value <= 0.3 * (1 + 2 * TOLERANCE)
    assert len(found.rates) < LIMITS.rates


def test_where_broken_weights_are_as_good_as_none_low_rates_are_chosen() -> None:
    """Neither the model nor a model that is broken corrects an answer."""
    optimum, _ = search(lambda rate, n: float(1e-3 < rate < 10), 0.1, start=0.0)
    assert optimum.is_interior
    assert optimum.rate <= 1e-3


def test_an_optimum_beyond_the_most_passes_is_not_interior() -> None:
    """Rates from .3 on diverge, and lower ones need more passes than there may be."""
    limits = SearchLimits(passes=32, total=2048)
    optimum, _ = search(valley(1.0, most=0.2), 0.1, limits=limits)
    assert not optimum.is_interior
    assert optimum.edge.startswith("the criterion still falls after 32 passes")
    assert optimum.passes == 32
    assert optimum.gain > 0


def test_an_optimum_beyond_the_most_rates_names_the_side() -> None:
    """The lower the rate the better, and no rate is without effect."""
    limits = SearchLimits(passes=4, total=2048, rates=4)
    optimum, _ = search(lambda rate, n: 1 + 0.01 * math.log10(rate), 1.0, limits=limits)
    assert not optimum.is_interior
    assert "a lower rate may be better than" in optimum.edge


def test_an_optimum_just_before_divergence_is_confirmed_by_it() -> None:
    def surface(rate: float, n: int) -> float:
        off = math.log10(rate / 0.1) ** 2 / 2
        return math.inf if n > 3 else 1.5 - 0.3 * n + off

    optimum, _ = search(surface, 0.1)
    assert (optimum.rate, optimum.passes) == (0.1, 3)
    assert optimum.is_interior


@pytest.mark.parametrize("passes", [1, 5, 16])
def test_fixed_passes_are_neither_exceeded_nor_undercut(passes: int) -> None:
    limits = SearchEffort().limits(passes)
    optimum, found = search(valley(0.01), 0.03, limits=limits)
    assert {n for curve in found.curves.values() for n in curve} == {passes}
    assert optimum.passes == passes
    assert optimum.is_interior
    best = min(valley(0.01)(lattice_rate(s), passes) for s in range(-24, 12))
    assert optimum.value <= 1.01 * best


def test_where_every_rate_fails_the_value_is_infinite() -> None:
    optimum, found = search(lambda *_: math.inf, 0.1)
    assert math.isinf(optimum.value)
    assert len(found.curves) <= MOST_AT_FIRST + LIMITS.rates


def test_a_gap_is_followed_to_where_it_crosses_zero() -> None:
    optimum, _ = search(lambda rate, n: abs(rate * n - 0.8), 0.1, start=0.8)
    assert optimum.value <= 0.1 * 0.8 + 1e-9
    assert optimum.is_interior


def test_of_equally_good_points_the_one_with_fewest_passes_is_chosen() -> None:
    """All rates come to the same floor, the higher ones sooner, up to .3."""

    def surface(rate: float, n: int) -> float:
        return math.inf if rate > 0.4 else max(0.5, 1.5 - rate * n)

    optimum, _ = search(surface, 0.3)
    assert (optimum.rate, optimum.passes) == (0.3, 4)


def test_differences_below_the_resolution_do_not_matter() -> None:
    def surface(rate: float, n: int) -> float:
        return 0.100 if n < 4 else 0.097

    assert search(surface, 0.1, start=0.2, resolution=0.005)[0].passes == 1
    assert search(surface, 0.1, start=0.2)[0].passes == 4


def test_chaos_above_a_rate_does_not_keep_the_optimum_below_from_being_found() -> None:
    smooth = valley(0.03)

    def surface(rate: float, n: int) -> float:
        return 1.0 + 0.4 * math.sin(1e4 * rate * n) if rate > 0.05 else smooth(rate, n)

    optimum, _ = search(surface, 1.0)
    assert optimum.value <= 1.01 * brute_force(surface) + 0.05


def test_the_lattice_has_four_rates_a_decade() -> None:
    rates = [lattice_rate(step) for step in range(-8, 9)]
    assert rates[8:13] == [1.0, 1.8, 3.0, 5.6, 10.0]
    assert all(1.6 < b / a < 1.9 for a, b in pairwise(rates))
    assert [lattice_rate(nearest_step(r)) for r in (0.09, 0.02, 7.0)] == [0.1, 0.03, 10]


@given(
    drawn=st.lists(
        st.one_of(st.floats(0.0, 10.0), st.just(math.inf)), min_size=1, max_size=97
    ),
    centre=st.floats(1e-6, 1e3),
    passes=st.integers(1, 64),
    total=st.integers(1, 512),
    n_rates=st.integers(3, 12),
)
@settings(deadline=None, max_examples=40)
def test_any_search_ends_within_its_limits_at_a_point_that_it_walked(
    drawn: list[float], centre: float, passes: int, total: int, n_rates: int
) -> None:
    def surface(rate: float, n: int) -> float:
        return drawn[hash((rate, n)) % len(drawn)]

    limits = SearchLimits(passes=passes, total=total, rates=n_rates)
    optimum, found = search(surface, centre, limits=limits)
    walked = dict(found.walked())
    assert dict(walked[optimum.rate])[optimum.passes] == optimum.value
    assert optimum.passes <= passes
    assert len(walked) <= MOST_AT_FIRST + 2 * n_rates
    done = [max(curve) for curve in found.curves.values()]
    at_first = (MOST_AT_FIRST + n_rates) * min(FIRST_PASSES, passes)
    assert sum(done) < total + 3 * passes + at_first
    assert optimum.is_interior == (not optimum.edge)
    assert optimum.gain >= 0
