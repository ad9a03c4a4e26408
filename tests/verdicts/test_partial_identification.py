"""A verdict on values that are known between two ends holds at both, or is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from probes.cell import Cell, Settings
from probes.claims import ClaimCard
from probes.measurement import Measurement
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge
from probes.verdicts.judgement import Judgement

SETS, QUERIES = 10, 40
NOISE = np.random.default_rng(0).normal(size=(SETS, QUERIES)) / 100


def value(mean: float, below: float = 0.0, above: float = 0.0) -> Measurement:
    values = mean + NOISE
    ends: dict[str, Any] = {"least": values - below, "most": values + above}
    given = ends if below or above else {}
    return Measurement(name="distance", unit="bits", values=values, **given)


def judge() -> Judge:
    cell = Cell(
        model=model_named("hmm_llama"),
        dataset=dataset_named("hmm"),
        n_demonstrations=4,
        settings=Settings(n_sets=SETS, n_queries=QUERIES),
    )
    return Judge(ClaimCard(name="c", sentence="s", source="s", on="text"), cell)


def agrees(difference: Measurement) -> tuple[Judgement, str]:
    found = judge()
    found.agrees(difference, margin=0.1)
    assert found.judgement is not None
    return found.judgement, found.note


def reaches(
    similarity: Measurement, *, floor: Measurement, ceiling: Measurement
) -> Judgement:
    found = judge()
    arms = {"floor": floor}
    found.reaches_ceiling(similarity, floors=arms, ceiling=ceiling, margin=0.1)
    assert found.judgement is not None
    return found.judgement


def test_exact_values_are_judged_as_before_and_shown_without_a_width() -> None:
    found, note = agrees(value(0.0))
    assert found.verdict == "supported"
    assert note == ""


@pytest.mark.parametrize(("mean", "verdict"), [(0, "supported"), (0.2, "refuted")])
def test_ends_on_one_side_of_the_margin_leave_the_verdict_and_are_reported(
    mean: float, verdict: str
) -> None:
    found, note = agrees(value(mean, 0.03, 0.05))
    assert found.verdict == verdict
    assert found.reason == ""
    assert "distance may be 0.03 less or 0.05 more than measured" in note


@pytest.mark.parametrize(
    ("measured", "was"),
    [
        (value(0.0, above=0.2), "supported"),
        (value(0.0, below=0.2), "supported"),
        (value(0.2, below=0.2), "refuted"),
        (value(-0.2, above=0.2), "refuted"),
        (value(0.2, below=0.5), "refuted"),  # refuted at both ends, on either side
    ],
)
def test_ends_on_both_sides_of_the_margin_decide_nothing(
    measured: Measurement, was: str
) -> None:
    found, _ = agrees(measured)
    assert found.verdict == "inconclusive"
    assert found.reason.startswith(
        f"{was} as measured, but only part of each answer is kept"
    )
    assert found.p_supported is not None
    assert found.p_refuted is not None
    assert min(found.p_supported, found.p_refuted) > 0.05  # nor after correction


def test_an_advantage_must_hold_at_its_least() -> None:
    sure, unsure = judge(), judge()
    sure.exceeds(value(0.3, below=0.1), margin=0.1)
    unsure.exceeds(value(0.3, below=0.25), margin=0.1)
    verdicts = [j.judgement.verdict for j in (sure, unsure) if j.judgement]
    assert verdicts == ["supported", "inconclusive"]


def test_floor_and_ceiling_count_at_their_ends() -> None:
    low, high = value(0.2), value(0.8)
    assert reaches(value(0.8), floor=low, ceiling=high).verdict == "supported"
    unsure = value(0.8, below=0.3)
    assert reaches(unsure, floor=low, ceiling=high).verdict == "inconclusive"
    # whatever the floor may be lower, the likeness has reached its ceiling
    loose = value(0.2, below=0.3)
    assert reaches(value(0.8), floor=loose, ceiling=high).verdict == "supported"
    assert reaches(value(0.5), floor=low, ceiling=high).verdict == "refuted"
    ceiling = value(0.8, below=0.29)
    assert reaches(value(0.5), floor=low, ceiling=ceiling).verdict == "inconclusive"


def test_a_difference_is_as_wide_as_both_of_its_sides() -> None:
    found = value(0.5, 0.1, 0.2).minus(value(0.1, 0.03, 0.04))
    assert found.mean == pytest.approx(0.4)
    assert found.at_least().mean == pytest.approx(0.4 - 0.1 - 0.04)
    assert found.at_most().mean == pytest.approx(0.4 + 0.2 + 0.03)
    assert value(0.5).minus(value(0.1)).is_exact
