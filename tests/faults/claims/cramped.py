"""A claim on a small language model whose device is short of memory."""

from __future__ import annotations

from probes.claims import claim
from probes.judge import Judge
from probes.measures import total_variation
from probes.observation import Observation
from probes.pytest_plugin import observation
from probes.request import Learner
from probes.tasks import Cell
from tests.faults.learners import Cramped


@observation
def cramped(cell: Cell) -> Learner:
    """Answer in context, a few prompts at a time."""
    return Cramped()


@claim("Demonstrations change answers little.", source="none", on="text")
def test_cramped(cramped: Observation, base: Observation, judge: Judge) -> None:
    judge.stays_below(total_variation(cramped, base), margin=0.9)
