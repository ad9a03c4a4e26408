"""Claims whose observations take a known time; not part of the catalogue."""

from __future__ import annotations

from probes.cell import Cell
from probes.claims import claim
from probes.measures import prediction_distance
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.pytest_plugin import observation
from probes.verdicts.judge import Judge
from tests.faults.learners import Laboured

TURNS = 1500  # about 60 ms: less than a worker's start, more than the store's part
VARIANTS = tuple("abcde")


def asked(cell: Cell, turns: int, order: int) -> Request:
    """Ask the variant's learner after an order."""
    learner = Laboured(salt=str(cell.variant), turns=turns)
    return Request.of(cell, learner, order=order)


@observation
def laboured(cell: Cell) -> Request:
    """Answer after some labour."""
    return asked(cell, TURNS, 0)


@observation
def laboured_again(cell: Cell) -> Request:
    """Answer after some labour, in another order."""
    return asked(cell, TURNS, 1)


@observation
def idle(cell: Cell) -> Request:
    """Answer at once."""
    return asked(cell, 0, 0)


@observation
def idle_again(cell: Cell) -> Request:
    """Answer at once, in another order."""
    return asked(cell, 0, 1)


@claim(on="regression", variants=VARIANTS)
def test_laboured(
    laboured: Observation, laboured_again: Observation, judge: Judge
) -> None:
    """Labour does not matter.

    Source:
        none
    """
    judge.stays_below(prediction_distance(laboured, laboured_again), margin=0.1)


@claim(on="regression", variants=VARIANTS)
def test_idle(idle: Observation, idle_again: Observation, judge: Judge) -> None:
    """Nor does idling.

    Source:
        none
    """
    judge.stays_below(prediction_distance(idle, idle_again), margin=0.1)
