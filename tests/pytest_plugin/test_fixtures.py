"""The judge hears of the searches that its verdict rests on, and of no others."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from probes.cell import Cell, Settings
from probes.learners import GradientLearner
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.pytest_plugin.fixtures import _note_search
from probes.pytest_plugin.items import JUDGE
from tests.support.cards import dataset, model

CELL = Cell(
    model=model("m"), dataset=dataset("d"), n_demonstrations=4, settings=Settings()
)
OWN = Request.of(CELL, GradientLearner())


def noted(cell: Cell, request: Request, **facts: Any) -> list[bool]:
    """Collect whether each search that is noted decides."""
    heard: list[bool] = []
    judge = SimpleNamespace(note_search=lambda _, decides: heard.append(decides))
    item: Any = SimpleNamespace(stash={JUDGE: judge})
    _note_search(item, cell, request, Observation(arrays={}, facts=facts))
    return heard


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
