"""GD at the point at which it has come as far as ICL."""

from __future__ import annotations

import inspect
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from probes.learners.performance_matched import (
    FAILED,
    QUANTITIES,
    GradientTrajectory,
    _nearest,
    half_octaves,
    quantities_of,
)
from probes_fixtures.matching import gd_matches, require_match

from probes.cell import Cell, Settings
from probes.claims import ClaimCard
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import NumericsError
from probes.learners import (
    Base,
    GradientLearner,
    InContext,
    MatchedSelection,
    PerformanceMatched,
)
from probes.learners.training_trials import SELECTION_SETS
from probes.measures import gap_after_matching, label_accuracy, total_variation
from probes.observations.observation import Observation
from probes.observations.request import LearnerContext, Request
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Undecided

SIZES = Settings(n_sets=SELECTION_SETS + 1, n_queries=3, n_calibration=5)
GD = GradientLearner(rates=(0.1, 0.3), passes=(1, 4))


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(Store(tmp_path_factory.mktemp("store")))


def asked(learner: Any, **changes: Any) -> Request:
    return Request(
        learner=learner,
        model=model_named("hmm_llama"),
        dataset=dataset_named("hmm"),
        n_demonstrations=4,
        settings=SIZES,
        **changes,
    )


class WithICL(LearnerContext):
    """A context in which another learner answers where ICL would."""

    def observe(self, learner: Any, **changes: Any) -> Observation:
        if isinstance(learner, InContext):
            learner = GradientLearner(rates=(0.3,), passes=(3,))
        return super().observe(learner, **changes)


@pytest.mark.parametrize("at", QUANTITIES)
def test_a_learner_that_is_gd_at_a_step_is_matched_at_that_step(
    observer: Observer, at: Any
) -> None:
    request = asked(MatchedSelection(of=GD, quantity=at), queries="calibration")
    found = MatchedSelection(of=GD, quantity=at).observe(
        WithICL(**vars(observer.context(request)))
    )
    assert found.facts["is_matched"]
    assert np.allclose(found["gaps"].mean(), 0, atol=1e-5)  # float32, stacked or not
    if at != "accuracy":  # of which several points have the same
        assert (found.facts["rate"], found.facts["passes"]) == (0.3, 3)


def test_a_matched_learner_answers_at_the_point_that_was_chosen(
    observer: Observer,
) -> None:
    matched = PerformanceMatched(rates=GD.rates, passes=GD.passes, quantity="change")
    chosen = observer.observe(asked(matched.choice, queries="calibration")).facts
    same = GradientLearner(rates=(chosen["rate"],), passes=(chosen["passes"],))
    ours, theirs = (observer.observe(asked(one)) for one in (matched, same))
    assert total_variation(ours, theirs).mean == pytest.approx(0, abs=1e-7)
    assert ours.facts["is_matched"] == chosen["is_matched"]


def test_the_three_quantities_share_one_trajectory(observer: Observer) -> None:
    choices = [
        PerformanceMatched(rates=(0.1,), passes=(1,), quantity=at).choice
        for at in QUANTITIES
    ]
    assert {choice.of for choice in choices} == {
        GradientLearner(rates=(0.1,), passes=(1,))
    }


def test_standings_are_those_of_the_measures(observer: Observer) -> None:
    icl, base = (observer.observe(asked(one)) for one in (InContext(), Base()))
    accuracy, loss, change = quantities_of(icl, base).mean(axis=0)
    assert accuracy == pytest.approx(label_accuracy(icl).mean)
    assert change == pytest.approx(total_variation(icl, base).mean)
    gold = np.asarray(icl.label_tokens)[icl.gold]
    rows, columns = np.indices(gold.shape)
    assert loss == pytest.approx(-icl.log_probs[rows, columns, gold].mean())
    assert not quantities_of(base, base)[:, QUANTITIES.index("change")].any()


def test_of_equally_near_points_the_least_loss_is_chosen() -> None:
    gaps = np.array([[[0.2, -0.1], [0.1, 0.3]]])
    assert _nearest(gaps, np.array([[[1.0, 3.0], [2.0, 1.0]]])) == (1, 0)
    assert _nearest(gaps, np.array([[[1.0, 1.5], [2.0, 1.0]]])) == (0, 1)


def test_gaps_count_by_their_mean_over_sets_not_by_set() -> None:
    gaps = np.array([[[0.4, 0.1]], [[-0.4, 0.1]]])
    assert _nearest(gaps, np.ones((2, 1, 2))) == (0, 0)


def test_points_that_are_no_numbers_are_no_candidates() -> None:
    losses = np.array([[[FAILED, 2.0]], [[1.0, 2.0]]])
    assert _nearest(np.array([[[0.0, 0.5]], [[0.0, 0.5]]]), losses) == (0, 1)
    with pytest.raises(NumericsError, match="finite"):
        _nearest(np.zeros((1, 1, 1)), np.full((1, 1, 1), FAILED))


def test_a_trajectory_that_diverges_keeps_what_came_before(observer: Observer) -> None:
    wild = GradientTrajectory(of=GradientLearner(rates=(1e12,), passes=(2,)))
    points = observer.observe(asked(wild, queries="calibration"))["points"]
    assert (points == FAILED).all(axis=-1).any()


@given(st.integers(1, 5000))
@settings(deadline=None)
def test_passes_grow_by_half_octaves_from_one_to_the_last(most: int) -> None:
    found = half_octaves(most)
    assert (found[0], found[-1]) == (1, most)
    assert found == sorted(set(found))
    assert all(b <= 2 * a for a, b in pairwise(found))


def judge() -> Judge:
    request = asked(GD)
    cell = Cell(
        model=request.model,
        dataset=request.dataset,
        n_demonstrations=4,
        settings=SIZES,
    )
    return Judge(ClaimCard(name="c", sentence="s", source="s", on="text"), cell)


def choice(**facts: Any) -> Observation:
    said = {
        "wanted": 0.6, "nearest": 0.45, "rate": 0.3, "passes": 64,
        "tolerance": 0.02, "is_matched": False,
    }  # fmt: skip
    return Observation(arrays={"gaps": np.full((2, 1), -0.15)}, facts={**said, **facts})


def test_a_cell_without_a_match_is_dismissed_with_the_nearest_value() -> None:
    found = judge()
    with pytest.raises(Undecided, match="the nearest has 0.45"):
        require_match(choice(), "accuracy", found)
    assert found.judgement is not None
    assert found.judgement.verdict == "not_applicable"
    assert found.judgement.effect.value == pytest.approx(-0.15)


def test_a_match_is_noted_and_goes_on_to_a_verdict() -> None:
    found = judge()
    require_match(choice(is_matched=True), "accuracy", found)
    assert found.judgement is None
    assert "after 64 passes" in found.note


def test_the_gap_is_in_the_unit_of_its_quantity() -> None:
    units = {at: gap_after_matching(choice(), at).unit for at in QUANTITIES}
    assert units == {"accuracy": "fraction", "loss": "nats", "change": "probability"}
    assert gap_after_matching(replace(choice()), "loss").mean == pytest.approx(-0.15)


def test_no_match_is_looked_for_before_the_gate() -> None:
    assert "icl_gate" in inspect.signature(gd_matches).parameters
