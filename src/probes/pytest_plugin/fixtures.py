"""The fixtures that a claim may name, and the decorator that makes more of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from probes.cell import Cell
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.pytest_plugin.items import JUDGE, KEYS, RUN
from probes.pytest_plugin.learner_checks import require_learner
from probes.run.icl_gate import ICL_GATES
from probes.verdicts.judge import Judge

Recipe = Callable[[Cell], Any]


def observation(recipe: Recipe) -> Any:
    """Make a fixture from a recipe: it gives the observations that the recipe names.

    Args:
        recipe: From a cell to a learner, a :class:`Request`, or a list or dict of them.

    Returns:
        A fixture with the recipe's name. Its value is an observation, or a list or dict
        of them, as the recipe returns.
    """

    def answer(cell: Cell, observe: Callable[[Any], Any]) -> Any:
        return observe(recipe(cell))

    answer.__doc__ = recipe.__doc__
    answer.recipe = recipe  # type: ignore[attr-defined]
    return pytest.fixture(name=recipe.__name__)(answer)


def requests_of(cell: Cell, asked: Any) -> Any:
    """Make a request of every learner; lists and dicts keep their form.

    Raises:
        ClaimError: Something in it is neither a request nor a learner.
    """
    if isinstance(asked, Mapping):
        return {name: requests_of(cell, part) for name, part in asked.items()}
    if isinstance(asked, list | tuple):
        return [requests_of(cell, part) for part in asked]
    if isinstance(asked, Request):
        return asked
    require_learner(asked)
    return Request.of(cell, asked)


def planned_requests(cell: Cell, definition: Any) -> Any:
    """Return what a fixture would ask for, before anything runs.

    Args:
        cell: The cell.
        definition: The fixture, as pytest defines it.

    Returns:
        Requests as ``requests_of`` makes them; None if the fixture is no observation,
        or if its recipe fails. Then its own test fails too, and reports why.
    """
    recipe = getattr(definition.func, "recipe", None)
    try:
        return None if recipe is None else requests_of(cell, recipe(cell))
    except Exception:  # a recipe is anyone's code
        return None


@pytest.fixture
def cell(request: pytest.FixtureRequest) -> Cell:
    """Give the model, dataset and number of demonstrations of this test."""
    value = getattr(request, "param", None)
    if not isinstance(value, Cell):
        pytest.fail(
            "This test asks for a cell and has none. Expected a test under @claim. "
            "Decorate it.",
            pytrace=False,
        )
    return value


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
        made = requests_of(cell, asked)
        observation = observer.observe(made)
        _note_facts(request.node, cell, made, observation)
        if observation.key not in keys:
            keys.append(observation.key)
        return observation

    return answer


def _note_facts(
    item: pytest.Item, cell: Cell, request: Request, observation: Observation
) -> None:
    """Tell the judge how GD was trained on the cell's model, and what was left out.

    GD on other labels or words has the rate and the passes that are chosen for the
    rows' own (see ``Request.of_choice``). So its search is the same.
    """
    facts = observation.facts
    if JUDGE in item.stash:
        item.stash[JUDGE].note_left_out(facts.get("left_out", ()))
    is_own = request.model == cell.model
    if not (JUDGE in item.stash and is_own):
        return
    is_gold = request.labels == "gold" and request.wording == "own"
    if "moved" in facts and is_gold:
        item.stash[JUDGE].note_weights(facts["moved"])
    if "is_interior" in facts:
        decides = not cell.nearest_in or facts["criterion"] != "loss"
        item.stash[JUDGE].note_search(facts, decides=decides)


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> Judge:
    """Give the judge, which turns a claim's measurements into a verdict."""
    judge: Judge = request.node.stash[JUDGE]
    return judge


@pytest.fixture
def icl_gate(judge: Judge, request: pytest.FixtureRequest) -> None:
    """Dismiss a cell in which the model learns nothing in context.

    It asks for one requirement's observations at a time: a cell that fails the first
    requirement measures nothing for the second.
    """
    for requirement in ICL_GATES[judge.claim.on]:
        observations = map(request.getfixturevalue, requirement.observations)
        requirement.check(judge, *observations)
