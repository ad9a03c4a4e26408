"""The fixtures that a claim may name, and how a recipe becomes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from probes.cell import Cell
from probes.measures import explained_share, gold_probability
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.pytest_plugin.items import JUDGE, KEYS, RUN
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
def icl_learns(icl: Observation, base: Observation, judge: Judge) -> None:
    """Dismiss the cell where demonstrations teach nothing."""
    require_gain(judge, icl, base)


@pytest.fixture
def icl_gate(
    icl_learns: None, icl: Observation, icl_shuffled_labels: Observation, judge: Judge
) -> None:
    """Dismiss the cell where demonstrations teach nothing or labels do not matter.

    Shuffled labels are not measured where demonstrations teach nothing.
    """
    require_gain_by_labels(judge, icl, icl_shuffled_labels)


def require_gain(judge: Judge, icl: Observation, base: Observation) -> None:
    """Require a gain of ICL over zero-shot.

    Raises:
        Undecided: There is none.
    """
    _require_gain(judge, icl, base, "zero-shot")


def require_gain_by_labels(
    judge: Judge, icl: Observation, shuffled: Observation
) -> None:
    """Require a gain of ICL over redrawn labels.

    Raises:
        Undecided: There is none.
    """
    _require_gain(judge, icl, shuffled, "shuffled labels")


def _require_gain(judge: Judge, icl: Observation, other: Observation, arm: str) -> None:
    learned, theirs = map(gold_probability, (icl, other))
    gain = replace(learned.minus(theirs), name=f"gain of ICL over {arm}")
    judge.requires(gain, otherwise=f"ICL gains nothing over {arm}: nothing to explain")


@pytest.fixture
def icl_gate_in_regression(icl: Observation, judge: Judge) -> None:
    """Dismiss the cell of a network that errs as much as the answer 0 would."""
    require_icl_in_regression(judge, icl)


def require_icl_in_regression(judge: Judge, icl: Observation) -> None:
    """Require smaller errors than those of the answer 0.

    Not on constructed networks: what algebra decides needs no evidence of learning.

    Raises:
        Undecided: They are not smaller.
    """
    gain = explained_share(icl)
    if not judge.is_exact:
        told = "ICL errs as much as the answer 0: nothing to explain"
        judge.requires(gain, otherwise=told)
