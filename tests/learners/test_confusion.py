"""The confusion matrix: networks that are an algorithm are recognised as that one."""

from __future__ import annotations

import pytest
from probes_fixtures.observations import rivals

from probes.cell import Cell, Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import InContext, LinearLearner
from probes.measures import squared_distance
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named
from probes.verdicts.equivalence import describe
from tests.support.confusion import IS, ROUNDING, Recognised, drawn, matrix, observer_in

EQUAL = {"GD": ["GD++"], "OLS": ["ridge"]}  # at γ = 0 and at λ = 0
EXACT = {
    "constructed_gd_1": {"GD", "GD++"},
    "constructed_gd_4": {"GD", "GD++"},
    "constructed_gdpp_4": {"GD++"},
    "constructed_newton_4": {"Newton"},
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recognised]:
    return matrix(observer_in(tmp_path_factory.mktemp("store")))


def test_every_algorithm_is_recognised_as_what_it_is(
    found: dict[str, Recognised],
) -> None:
    assert {name: line.nearest for name, line in found.items()} == IS, drawn(found)
    off = [n for n, o in found.items() if o.distances[o.nearest].mean > ROUNDING]
    assert not off, drawn(found)  # their settings are found to machine precision


def test_only_special_cases_of_one_another_are_equally_near(
    found: dict[str, Recognised],
) -> None:
    equals = {name: line.equals for name, line in found.items()}
    assert equals == {n: EQUAL.get(is_, []) for n, is_ in IS.items()}, drawn(found)


def test_the_nearest_algorithm_leads_beyond_its_interval(
    found: dict[str, Recognised],
) -> None:
    for name, line in found.items():
        lead = describe(line.lead)
        assert lead.low is not None, name
        assert lead.low > 0, drawn(found)


def test_the_claim_is_supported_of_gd_and_refuted_of_all_others(
    found: dict[str, Recognised],
) -> None:
    verdicts = {name: line.judgement.verdict for name, line in found.items()}
    assert verdicts == {
        name: "supported" if is_ == "GD" else "refuted" for name, is_ in IS.items()
    }, drawn(found)


def test_the_matrix_names_every_network_and_marks_the_nearest(
    found: dict[str, Recognised],
) -> None:
    header, _, *lines = drawn(found).splitlines()
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines] == list(IS)
    assert all(line.count("**") == 2 for line in lines)
    assert "GD++" in header


@pytest.mark.parametrize(("model", "algorithms"), EXACT.items())
@pytest.mark.parametrize("n_demonstrations", [10, 20])
def test_a_constructed_network_is_its_own_algorithm_and_no_other(
    tmp_path_factory: pytest.TempPathFactory,
    model: str,
    algorithms: set[str],
    n_demonstrations: int,
) -> None:
    observer = Observer(Store(tmp_path_factory.mktemp("store")))
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
