"""One method puts everything into a row that decides nothing."""

from __future__ import annotations

import numpy as np
import pytest

from probes.errors import ClaimError
from probes.measurement import Measurement
from probes.observations.observation import Observation
from probes.verdicts.secondary_results import SecondaryResults

VALUES = np.arange(6.0).reshape(2, 3)


def measured(name: str) -> Measurement:
    return Measurement(name=name, values=VALUES, unit="fraction")


def test_measurements_are_shown_under_their_own_names_and_those_of_arms() -> None:
    results = SecondaryResults(alpha=0.05)
    results.record(measured("loss"), GD=measured("accuracy"))
    results.record(ICL=measured("accuracy"))
    names = [effect.name for effect in results.secondary_effects]
    assert names == ["loss", "accuracy: GD", "accuracy: ICL"]
    assert results.note == ""


def test_remarks_are_joined_and_empty_ones_left_out() -> None:
    results = SecondaryResults(alpha=0.05)
    results.record("one", "")
    results.record("two")
    assert results.note == "one; two"
    assert not results.secondary_effects


def test_an_illustration_gives_the_example_and_a_mapping_gives_details() -> None:
    results = SecondaryResults(alpha=0.05)
    results.record(Observation(arrays={}, facts={"example": [{"query": "x"}]}))
    results.record(steps={"unit": "answer size"})
    assert results.example == [{"query": "x"}]
    assert results.details == {"steps": {"unit": "answer size"}}
    assert not results.secondary_effects


def test_a_number_is_refused_in_words() -> None:
    results = SecondaryResults(alpha=0.05)
    with pytest.raises(ClaimError, match=r"given k=.*3.*\. Expected a measurement, or"):
        results.record(k=np.int64(3))  # type: ignore[arg-type]


def test_what_was_left_out_is_remarked_on_and_kept_once() -> None:
    results = SecondaryResults(alpha=0.05)
    for _ in range(2):
        results.note_left_out(["2 rows", "1 tensor"])
        results.note_weights("W: 6 weights")
    assert results.note == "2 rows; 1 tensor"
    assert results.details == {
        "left_out": ["2 rows", "1 tensor"],
        "moved": ["W: 6 weights"],
    }


def test_a_note_says_how_far_the_numbers_may_lie_from_the_truth() -> None:
    results = SecondaryResults(alpha=0.05)
    bounds = {"least": VALUES - 1, "most": VALUES + 2}
    results.record(GD=Measurement(name="gap", values=VALUES, unit="", **bounds))
    assert "gap may be 1 less or 2 more than measured" in results.note
