"""The judge hears of the searches that its verdict rests on, and of no others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from probes.cell import Cell, Settings
from probes.errors import ClaimError, OptionError
from probes.learners import GradientLearner
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.pytest_plugin.fixtures import _note_facts, planned_requests, requests_of
from probes.pytest_plugin.items import JUDGE
from tests.support.cards import dataset, model

CELL = Cell(
    model=model("m"), dataset=dataset("d"), n_demonstrations=4, settings=Settings()
)
OWN = Request.of(CELL, GradientLearner())


def heard(cell: Cell, request: Request, **facts: Any) -> dict[str, list[Any]]:
    """Collect what a judge hears: searches that decide, weights, what is left out."""
    told: dict[str, list[Any]] = {"decides": [], "moved": [], "left_out": []}
    judge = SimpleNamespace(
        note_search=lambda _, decides: told["decides"].append(decides),
        note_weights=told["moved"].append,
        note_left_out=told["left_out"].extend,
    )
    item: Any = SimpleNamespace(stash={JUDGE: judge})
    _note_facts(item, cell, request, Observation(arrays={}, facts=facts))
    return told


def noted(cell: Cell, request: Request, **facts: Any) -> list[bool]:
    """Collect whether each search that is noted decides."""
    return heard(cell, request, **facts)["decides"]


def test_the_weights_that_move_are_those_of_the_cells_own_model() -> None:
    assert heard(CELL, OWN, moved="W: 6 weights")["moved"] == ["W: 6 weights"]
    control = replace(OWN, model=model("other"))
    assert heard(CELL, control, moved="W: 6 weights")["moved"] == []


def test_what_any_answer_does_without_is_noted() -> None:
    control = replace(OWN, model=model("other"))
    assert heard(CELL, control, left_out=["2 rows"])["left_out"] == ["2 rows"]


@pytest.mark.parametrize(
    ("nearest_in", "criterion", "decides"),
    [
        ("", "loss", True),
        ("token_overlap", "loss", False),
        ("token_overlap", "token_overlap", True),
    ],
)
def test_in_a_claim_of_likeness_the_nearest_gd_decides(
    nearest_in: str, criterion: str, decides: bool
) -> None:
    cell = replace(CELL, nearest_in=nearest_in)
    assert noted(cell, OWN, is_interior=False, criterion=criterion) == [decides]


def test_searches_on_other_models_are_not_noted() -> None:
    request = replace(OWN, model=model("other"))
    assert noted(CELL, request, is_interior=False, criterion="loss") == []


@pytest.mark.parametrize("changed", [{"labels": "flipped"}, {"wording": "unrelated"}])
def test_gd_on_other_labels_rests_on_the_same_search(changed: Any) -> None:
    request = replace(OWN, **changed)
    assert noted(CELL, request, is_interior=False, criterion="loss") == [True]


def test_learners_without_a_search_are_not_noted() -> None:
    assert noted(CELL, OWN, rate=0.1) == []


class NoDataclass:
    """A learner without fields that can be read."""

    needs_model = False

    def observe(self, context: Any) -> None:
        """Answer nothing."""


@dataclass
class Thawed(NoDataclass):
    """A learner whose settings may change."""


@dataclass(frozen=True)
class Opaque(NoDataclass):
    """A learner with a setting that is no plain value."""

    setting: object


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (3, "asked of 3, which is no learner. Expected an object with observe"),
        (NoDataclass(), "NoDataclass: it is no dataclass. Expected a frozen"),
        (Thawed(), "Thawed: unhashable type"),
        (Opaque(object()), "Opaque: object has no canonical JSON"),
    ],
)
def test_a_recipe_must_return_learners_whose_settings_are_plain(
    asked: Any, why: str
) -> None:
    with pytest.raises(ClaimError, match=why):
        requests_of(CELL, {"a": [GradientLearner(), asked]})


def test_a_recipe_that_fails_plans_nothing() -> None:
    def failing(_: Cell) -> Any:
        raise OptionError("The rate is -1. Expected one above 0. Pass another.")

    definition = SimpleNamespace(func=SimpleNamespace(recipe=failing))
    assert planned_requests(CELL, definition) is None
    definition.func.recipe = lambda _: [GradientLearner()]
    assert planned_requests(CELL, definition) == [OWN]
