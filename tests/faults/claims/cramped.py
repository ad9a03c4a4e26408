"""A claim on a small language model whose device is short of memory."""

from __future__ import annotations

from probes.cell import Cell
from probes.claims import claim
from probes.measures import total_variation
from probes.observations.observation import Observation
from probes.observations.request import Learner
from probes.pytest_plugin import observation
from probes.verdicts.judge import Judge
from tests.faults.learners import Cramped


@observation
def cramped(cell: Cell) -> Learner:
    """Answer in context, a few prompts at a time."""
    return Cramped()


@claim(on="text")
def test_cramped(cramped: Observation, base: Observation, judge: Judge) -> None:
    """Demonstrations change answers little.

    Source:
        none
    """
    judge.stays_below(total_variation(cramped, base), margin=0.9)
