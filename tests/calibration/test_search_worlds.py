"""The optima of the worlds are known, and an unfinished search refutes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from probes.calibration import search_worlds
from probes.calibration.search_worlds import (
    WORLDS,
    LinearModels,
    SearchWorld,
    search,
    search_counts,
)
from probes.verdicts.judge import Judge

RUNS = 8
BEYOND = "the optimum needs more passes than the budget"
WITHIN = [one.name for one in WORLDS if one.name != BEYOND]


def world(name: str) -> SearchWorld:
    return next(one for one in WORLDS if one.name == name)


def test_weights_are_those_of_gd_steps() -> None:
    models = LinearModels.draw(WORLDS[0], 2, 0)
    weights = np.zeros_like(models.trained)
    for _ in range(7):
        weights -= 0.3 * models.curvatures * (weights - models.trained)
    np.testing.assert_allclose(models.weights(0.3, np.array([7.0]))[0], weights)


def test_the_untouched_model_has_the_value_1() -> None:
    models = LinearModels.draw(WORLDS[0], 2, 0)
    values = models.values(models.wanted, 0.3, np.array([0.0]))
    assert values == pytest.approx([1.0])


def test_brute_force_is_never_beaten_by_the_search() -> None:
    for seed in range(5):
        models = LinearModels.draw(WORLDS[0], 4, seed)
        found = search(models, models.wanted, 1.0)
        assert found.value >= models.best * (1 - 0.01)


def counts(monkeypatch: pytest.MonkeyPatch, *worlds: SearchWorld) -> Any:
    monkeypatch.setattr(search_worlds, "WORLDS", worlds)
    return {(c.world, c.criterion): c for c in search_counts(runs=RUNS)}


def test_a_search_beyond_its_budget_says_so_and_refutes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for count in counts(monkeypatch, world(BEYOND)).values():
        assert (count.open, count.right, count.wrong) == (RUNS, 0, 0)
        assert "open, refuted" not in count.verdicts


def test_without_the_judges_caution_an_unfinished_search_refutes_what_is_true(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Judge, "chance_left", lambda self: "")
    found = counts(monkeypatch, world(BEYOND))[BEYOND, "nearest to ICL"]
    assert found.verdicts.get("open, refuted", 0) > RUNS / 2


@pytest.mark.parametrize("name", WITHIN)
def test_a_search_finds_the_gd_that_icl_is_wherever_it_begins(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    found = counts(monkeypatch, world(name))[name, "nearest to ICL"]
    assert found.right >= RUNS - 1
    assert found.open == 0
    assert not any(verdict.endswith("refuted") for verdict in found.verdicts)


def test_a_search_in_a_world_of_its_own_counts_every_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steep = replace(WORLDS[0], name="steep", condition=2.0)
    for count in counts(monkeypatch, steep).values():
        assert count.right + count.wrong + count.open == count.runs == RUNS
