"""Looking again in simulations of known truth: the level holds, and peeking is seen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from probes.calibration.simulations import SIMULATIONS
from probes.calibration.stopping import LEVELS, LOOKS, decided, stopped_cells
from probes.calibration.study import ErrorRates
from probes.calibration.tables import ALLOWED, interim_table

RUNS = 1500
RULE, PEEKING = LEVELS


def outcomes(name: str) -> dict[tuple[str, str], ErrorRates]:
    simulation = next(
        simulation for simulation in SIMULATIONS if simulation.name == name
    )
    return {(o.rule, o.truth): o for o in stopped_cells(simulation, runs=RUNS)}


@pytest.mark.parametrize(
    "name", ["normal, typical", "heavy tails, sets differ", "very skewed, sets are all"]
)
def test_looking_again_keeps_the_level_of_one_look(name: str) -> None:
    at = outcomes(name)[RULE, "at the margin"]
    error = math.sqrt(ALLOWED * (1 - ALLOWED) / RUNS)
    assert at.false_supported is not None
    assert at.false_refuted is not None
    assert max(at.false_supported, at.false_refuted) <= ALLOWED + 2 * error


def test_peeking_at_the_level_of_one_look_is_seen() -> None:
    at = outcomes("normal, typical")[PEEKING, "at the margin"]
    assert at.false_supported is not None
    assert at.false_supported > 0.09


def test_looking_again_finds_what_ten_sets_leave_open() -> None:
    inside = outcomes("normal, typical")[RULE, "inside"]
    assert inside.power is not None
    assert inside.power > 0.95
    assert inside.n_sets == LOOKS.sizes[-1]


def test_the_first_look_that_decides_is_final() -> None:
    supported = np.array([[0.9, 0.01, 0.9], [0.01, 0.9, 0.9]])
    refuted = np.array([[0.9, 0.9, 0.9], [0.9, 0.01, 0.9]])
    p = np.stack([supported, refuted], axis=1)  # (n_looks, 2, n)
    assert decided(p, 0.05).tolist() == [1.0, 1.0, 0.0]


def test_the_table_names_the_worst_simulation() -> None:
    found = [*outcomes("normal, typical").values()]
    lines = interim_table(found)
    assert len(lines) == 2 + len(LEVELS)
    assert lines[2].startswith("| 1.69 % | ")
    assert "(normal, typical)" in lines[3]
