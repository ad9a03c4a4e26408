"""The fixtures that a claim may name, and how a recipe becomes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from probes.cell import Cell
from probes.observations.request import Request
from probes.pytest_plugin.items import JUDGE, KEYS, RUN
from probes.run.icl_gate import ICL_GATES
from probes.verdicts.judge import Judge

Recipe = Callable[[Cell], Any]


def observation(recipe: Recipe) -> Any:
    """Turn a recipe into a fixture that is an observation.

    Args:
        recipe: From a cell to a learner, a :class:`Request`, or a list or dict of them.

    Returns:
        A fixture of the recipe's name that gives what the learners answered.
    """

    def answer(cell: Cell, observe: Callable[[Any], Any]) -> Any:
        return observe(recipe(cell))

    answer.__doc__ = recipe.__doc__
    answer.recipe = recipe  # type: ignore[attr-defined]
    return pytest.fixture(name=recipe.__name__)(answer)


def requests_of(cell: Cell, asked: Any) -> Any:
    """Complete learners to requests, keeping lists and dicts."""
    if isinstance(asked, Mapping):
        return {name: requests_of(cell, part) for name, part in asked.items()}
    if isinstance(asked, list | tuple):
        return [requests_of(cell, part) for part in asked]
    return asked if isinstance(asked, Request) else Request.of(cell, asked)


@pytest.fixture
def cell(request: pytest.FixtureRequest) -> Cell:
    """Give the model, dataset and number of demonstrations of this test."""
    found = getattr(request, "param", None)
    if not isinstance(found, Cell):
        pytest.fail("Only a test under @claim has a cell. Decorate it.", pytrace=False)
    return found


@pytest.fixture
def observe(cell: Cell, request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Give a function from learners or requests to observations."""
    observer = request.config.stash[RUN].observer
    keys = request.node.stash.setdefault(KEYS, [])

    def answer(asked: Any) -> Any:
        if isinstance(asked, Mapping):
            return {name: answer(part) for name, part in asked.items()}
        if isinstance(asked, list | tuple):
            return [answer(part) for part in asked]
        found = observer.observe(requests_of(cell, asked))
        if found.key not in keys:
            keys.append(found.key)
        return found

    return answer


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> Judge:
    """Give what a claim hands its measurements to."""
    found: Judge = request.node.stash[JUDGE]
    return found


@pytest.fixture
def icl_gate(judge: Judge, request: pytest.FixtureRequest) -> None:
    """Dismiss a cell in which the model learns nothing in context.

    Observations are asked for one after the other, so that a cell that is dismissed by
    the first requirement measures nothing for the next.
    """
    for requirement in ICL_GATES[judge.claim.on]:
        found = map(request.getfixturevalue, requirement.observations)
        requirement.check(judge, *found)
