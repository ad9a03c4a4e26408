"""Given rates and passes are the only ones that are tried, and edges are told."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import probes_fixtures.datasets
import probes_fixtures.models  # noqa: F401 - fills the registry
import pytest
from probes_fixtures.variants import CRITERIA, at_effort, gradient_learner

from probes.cell import Cell, Settings
from probes.engine.cost_model import cost_of_one
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import GradientLearner
from probes.learners.given_places import best_of_given
from probes.learners.search_effort import SearchEffort
from probes.observations.request import Request
from probes.run.grid import DATASETS, MODELS

RATES, PLACES = (0.01, 0.1, 0.3), (1, 4, 6)
GIVEN = SearchEffort(n_sets=2, rates=RATES, places=PLACES)
SIZES = Settings(n_sets=3, n_queries=4, n_calibration=8)


def best(curves: dict[float, dict[int, float]], **given: Any) -> Any:
    return best_of_given(curves, start=2.0, resolution=0.0, **given)


INTERIOR = {1.0: {1: 1.5, 2: 1.0, 4: 1.2}, 0.5: {1: 1.9, 2: 1.8, 4: 1.7},
            2.0: {1: 1.6, 2: math.inf, 4: math.inf}}  # fmt: skip


def test_the_least_value_is_chosen_with_no_edge_if_it_has_neighbours() -> None:
    found = best(INTERIOR)
    assert (found.rate, found.passes, found.value) == (1.0, 2, 1.0)
    assert found.is_interior
    assert found.edge == ""


@pytest.mark.parametrize(
    ("least", "edge"),
    [
        ((2.0, 2), "2 is the highest rate given"),
        ((0.5, 2), "0.5 is the lowest rate given"),
        ((1.0, 4), "4 passes are the most given"),
    ],
)
def test_an_optimum_at_an_edge_of_what_was_given_is_not_interior(
    least: tuple[float, int], edge: str
) -> None:
    rate, passes = least
    found = best({**INTERIOR, rate: {**INTERIOR[rate], passes: 0.1}})
    assert (found.rate, found.passes) == least
    assert not found.is_interior
    assert found.edge == edge


def test_fewer_passes_than_the_fewest_given_may_be_better_unless_it_is_one() -> None:
    late = {rate: {n * 20: v for n, v in c.items()} for rate, c in INTERIOR.items()}
    late[1.0][20] = 0.5
    assert best(late).edge == "20 passes are the fewest given"
    assert best({**INTERIOR, 1.0: {1: 0.5, 2: 1.0}}).is_interior


def test_a_single_rate_is_an_edge_on_both_sides_and_fixed_passes_are_none() -> None:
    assert best({1.0: {1: 1.0}}, passes_are_fixed=True).edge == (
        "1 is the highest rate given; 1 is the lowest rate given"
    )


def test_of_equally_good_points_the_one_with_fewest_passes_is_chosen() -> None:
    found = best({1.0: {1: 1.0, 2: 1.0}, 0.5: {1: 1.001, 2: 0.9999}, 2.0: {1: 3.0}})
    assert (found.rate, found.passes) == (0.5, 1)


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(Store(tmp_path_factory.mktemp("store")))


def asked(learner: Any, **changes: Any) -> Request:
    return Request(
        learner=learner,
        model=MODELS.get("hmm_llama"),
        dataset=DATASETS.get("hmm"),
        n_demonstrations=4,
        settings=SIZES,
        **changes,
    )


def chosen(observer: Observer, learner: GradientLearner) -> dict[str, Any]:
    request = asked(learner)
    return observer.observe(request.of_choice(learner.choice)).facts


def test_every_criterion_is_read_at_the_given_places_and_nowhere_else(
    observer: Observer,
) -> None:
    learner = GradientLearner(criteria=tuple(CRITERIA.values()), effort=GIVEN)
    facts = chosen(observer, learner)
    assert sorted(map(tuple, facts["places"])) == [
        (rate, n) for rate in RATES for n in PLACES
    ]
    for criterion in CRITERIA.values():
        choice = facts[criterion.name]
        assert choice["rate"] in RATES
        assert choice["passes"] in PLACES
        assert [rate for rate, _ in choice["curves"]] == list(RATES)
        for _, points in choice["curves"]:
            assert tuple(n for n, _ in points) == PLACES


def test_gd_answers_at_the_chosen_place_as_if_it_had_been_given(
    observer: Observer,
) -> None:
    searched = observer.observe(asked(GradientLearner(effort=GIVEN)))
    rate, passes = searched.facts["rate"], searched.facts["passes"]
    alone = observer.observe(asked(GradientLearner(rate=rate, passes=passes)))
    np.testing.assert_allclose(searched["log_probs"], alone["log_probs"], atol=1e-5)


def test_one_pass_of_sgd_stays_one_pass(observer: Observer) -> None:
    learner = GradientLearner(passes=1, batch_size=1, effort=GIVEN)
    facts = chosen(observer, learner)
    assert {n for _, n in facts["places"]} == {1}
    assert {rate for rate, _ in facts["places"]} == set(RATES)


def test_the_run_s_rates_and_passes_reach_the_learner_and_enter_its_key() -> None:
    cell = Cell(
        model=MODELS.get("hmm_llama"),
        dataset=DATASETS.get("hmm"),
        n_demonstrations=4,
        settings=replace(SIZES, rates=RATES, passes=PLACES),
        variant="gd",
    )
    found = gradient_learner(cell).effort
    assert (found.rates, found.places) == (RATES, PLACES)
    assert at_effort(cell, GradientLearner()).effort == found
    plain = replace(cell, settings=SIZES)
    keys = {Request.of(c, gradient_learner(c)).key for c in (cell, plain)}
    assert len(keys) == 2
    base = {
        Request.of(c, GradientLearner(rate=0.1, passes=1)).key for c in (cell, plain)
    }
    assert len(base) == 1  # what is not searched for is shared


def test_the_plan_counts_every_given_rate_to_its_last_pass() -> None:
    learner = GradientLearner(effort=GIVEN)
    request = asked(learner)
    counted = cost_of_one(request.of_choice(learner.choice))
    tokens = cost_of_one(asked(GradientLearner(rate=0.1, passes=1))).foreseen.learned
    sets = GIVEN.n_sets / SIZES.n_sets
    assert counted.foreseen.learned == pytest.approx(3 * 6 * sets * tokens)
    assert counted.limit == counted.foreseen
    assert cost_of_one(request).foreseen.learned == pytest.approx(4 * tokens)
    assert cost_of_one(request).limit.learned == pytest.approx(6 * tokens)
