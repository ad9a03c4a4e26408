"""The confusion matrix: networks that are an algorithm are recognised as that one."""

from __future__ import annotations

import pytest

from fixtures.observations import rivals
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.grid import dataset_named, model_named
from probes.learners import InContext, LinearLearner
from probes.measures import squared_distance
from probes.request import Request
from probes.tasks import Cell, Settings

IS = {
    "constructed_gd_1": {"GD", "GD++"},  # GD is GD++ whose shrinkage γ is 0
    "constructed_gd_4": {"GD", "GD++"},
    "constructed_gdpp_4": {"GD++"},
    "constructed_newton_4": {"Newton"},
}
ROUNDING = 1e-20  # squared; float64 keeps 16 digits, six are left for sums


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(Store(tmp_path_factory.mktemp("store")))


@pytest.mark.parametrize(("model", "algorithms"), IS.items())
@pytest.mark.parametrize("n_demonstrations", [10, 20])
def test_a_constructed_network_is_its_own_algorithm_and_no_other(
    observer: Observer, model: str, algorithms: set[str], n_demonstrations: int
) -> None:
    cell = Cell(
        model=model_named(model),
        dataset=dataset_named("linear"),
        n_demonstrations=n_demonstrations,
        settings=Settings(n_sets=4, n_queries=10),
    )
    icl = observer.observe(Request.of(cell, InContext()))
    learners = {"GD": LinearLearner(algorithm="gd"), **rivals.recipe(cell)}
    distances = {
        name: squared_distance(icl, observer.observe(Request.of(cell, learner))).mean
        for name, learner in learners.items()
    }
    assert {n for n, d in distances.items() if d < ROUNDING} == algorithms, distances
