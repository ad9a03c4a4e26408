"""Planted truth: where ICL is GD, the search comes to the GD that ICL is."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from probes_fixtures.matching import gd_matches, require_match
from probes_fixtures.variants import CRITERIA, CRITERIA_INSIDE

from probes.cell import Cell, Settings
from probes.claims import ClaimCard
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.engine.store_inventory import StoreFilter, list_described
from probes.errors import NumericsError, OptionError
from probes.learners import Activations, GradientLearner, InContext
from probes.learners.criterion import LABEL_LOSS
from probes.learners.gradient_walks import FAILED, GradientWalks, half_octaves
from probes.learners.rate_choice import RateChoice
from probes.learners.search_effort import SearchEffort
from probes.measures import Equal, Nearest, gap_after_matching, total_variation
from probes.models.training.llama_backend import LlamaBackend
from probes.models.training.training_loop import TrainingLoop
from probes.models.training.training_runs import TrainedWeights
from probes.models.training.walks import Walks
from probes.observations.observation import Observation
from probes.observations.request import LearnerContext, Request
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Undecided

SIZES = Settings(n_sets=3, n_queries=4, n_calibration=8)
EFFORT = SearchEffort(n_sets=2, passes=64, total=512)
LIKE = tuple(criterion for name, criterion in CRITERIA.items() if name != "loss")
SEARCHED = GradientLearner(criterion=LIKE[0], criteria=LIKE, effort=EFFORT)
LIKE_INSIDE = tuple(CRITERIA_INSIDE.values())
INSIDE = replace(SEARCHED, criterion=LIKE_INSIDE[0], criteria=LIKE_INSIDE)


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


def fresh(observer: Observer, request: Request) -> LearnerContext:
    """Give a context that takes nothing up from another test's search."""
    context = observer.context(request)
    return replace(context, progress=lambda: None, keep=lambda progress: None)


def planted(
    observer: Observer, truth: GradientLearner, searched: GradientLearner = SEARCHED
) -> LearnerContext:
    """Give a context in which GD answers where ICL would."""

    class WithICL(LearnerContext):
        def observe(self, learner: Any, **changes: Any) -> Observation:
            one = truth if isinstance(learner, InContext) else learner
            if learner == Activations(of=InContext()):
                one = Activations(of=truth)
            return super().observe(one, **changes)

    request = asked(searched.choice, queries="calibration")
    return WithICL(**vars(fresh(observer, request)))


@pytest.mark.parametrize("rate", [0.003, 0.01, 0.03, 0.1, 0.3])
def test_every_criterion_finds_the_gd_that_icl_is(
    observer: Observer, rate: float
) -> None:
    context = planted(observer, GradientLearner(rate=rate, passes=16))
    facts = SEARCHED.choice.observe(context).facts
    for criterion in LIKE:
        assert facts[criterion.name]["value"] <= 0.02, (criterion, facts)


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.1])
def test_every_criterion_of_activations_finds_the_gd_that_icl_is(
    observer: Observer, rate: float
) -> None:
    truth = GradientLearner(rate=rate, passes=16)
    facts = INSIDE.choice.observe(planted(observer, truth, INSIDE)).facts
    for criterion in LIKE_INSIDE:
        found = facts[criterion.name]
        assert found["value"] <= 0.02 * found["before"], (criterion, found)


def test_a_rate_between_those_of_the_lattice_is_come_near(observer: Observer) -> None:
    context = planted(observer, GradientLearner(rate=0.02, passes=13))
    facts = SEARCHED.choice.observe(context).facts
    for criterion in LIKE:
        assert facts[criterion.name]["value"] <= 0.02, (criterion, facts)


def test_a_learner_answers_at_the_place_that_was_chosen(observer: Observer) -> None:
    quick = SearchEffort(n_sets=2, passes=4, total=24)
    change = Equal(quantity="change")
    matched = GradientLearner(criterion=change, criteria=(change,), effort=quick)
    ours = observer.observe(asked(matched))
    chosen = observer.observe(asked(matched.choice, queries="calibration"))
    facts = chosen.facts[change.name]
    assert ours.facts["rate"] == facts["rate"]
    same = GradientLearner(rate=facts["rate"], passes=facts["passes"])
    theirs = observer.observe(asked(same))
    assert total_variation(ours, theirs).mean == pytest.approx(0, abs=1e-7)
    gap = gap_after_matching(chosen, "change")
    assert abs(gap.mean) == pytest.approx(facts["value"], abs=1e-6)


def test_all_criteria_share_one_search() -> None:
    choices = {replace(SEARCHED, criterion=one).choice for one in LIKE}
    assert choices == {RateChoice(of=SEARCHED)}


def test_a_walk_that_fails_is_infinite_and_no_candidate(observer: Observer) -> None:
    both = (LABEL_LOSS, Equal(quantity="loss"))
    learner = GradientLearner(criteria=both, effort=EFFORT)
    context = fresh(observer, asked(learner.choice, queries="calibration"))
    walks = GradientWalks(context, learner)
    walks.walk(1e12, 2)
    for column in range(2):
        assert math.isinf(walks.curve(1e12, column)[2])
        assert math.isfinite(walks.starts[column])


def test_a_rate_at_which_no_weight_moves_has_vanished(observer: Observer) -> None:
    learner = GradientLearner(effort=EFFORT)
    context = fresh(observer, asked(learner.choice, queries="calibration"))
    walks = GradientWalks(context, learner)
    for rate in (1e-30, 0.01, 1e12):
        walks.walk(rate, 1)
    assert math.isinf(walks.curve(1e-30, 0)[1])
    vanished = map(walks.has_vanished, (1e-30, 0.01, 1e12, 1e-40))
    assert list(vanished) == [True, False, False, False]


def test_threads_that_train_do_not_mix_up_what_is_read(
    observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model answers with one set's weights at a time, whatever trains meanwhile."""
    learner = replace(SEARCHED, effort=SearchEffort(n_sets=3))
    context = fresh(observer, asked(learner.choice, queries="calibration"))

    def points() -> Any:
        walks = GradientWalks(context, learner)
        walks.walk(0.1, 8)
        return np.stack(list(walks.points.values()))

    stacked = points()
    monkeypatch.setattr(LlamaBackend, "n_threads", 3)
    for _ in range(3):
        np.testing.assert_allclose(points(), stacked, atol=1e-4)


def test_where_every_rate_fails_the_error_names_the_rates(
    observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = GradientLearner(effort=SearchEffort(n_sets=1, passes=1, total=4))
    context = fresh(observer, asked(learner.choice, queries="calibration"))
    monkeypatch.setattr(GradientWalks, "_read", lambda *_: None)
    with pytest.raises(NumericsError, match="No learning rate from .* trains"):
        learner.choice.observe(context)
    assert np.isfinite(FAILED)


def test_gaps_count_by_their_mean_over_sets(observer: Observer) -> None:
    criteria = (Equal(quantity="loss"), Nearest(measure="jensen_shannon"))
    learner = replace(SEARCHED, criterion=criteria[0], criteria=criteria)
    context = fresh(observer, asked(learner.choice, queries="calibration"))
    walks = GradientWalks(context, learner)
    assert walks.mean(np.array([0.4, -0.6]), 0) == pytest.approx(0.1)
    assert walks.mean(np.array([0.4, 0.6]), 1) == pytest.approx(0.5)


@given(st.integers(1, 5000))
@settings(deadline=None)
def test_passes_grow_by_half_octaves_from_one_to_the_last(most: int) -> None:
    found = half_octaves(most)
    assert (found[0], found[-1]) == (1, most)
    assert found == sorted(set(found))
    assert all(b <= 2 * a for a, b in pairwise(found))


@pytest.mark.parametrize(
    ("given_", "match"),
    [
        ({"rate": math.inf, "passes": 1}, "The learning rate is inf"),
        ({"rate": 0.1}, "without passes"),
        ({"passes": 0}, "number of passes is 0"),
        ({"criterion": Equal(quantity="loss")}, "is not among those"),
    ],
)
def test_a_learner_that_makes_no_sense_is_refused(given_: Any, match: str) -> None:
    with pytest.raises(OptionError, match=match):
        GradientLearner(**given_)


def judge() -> Judge:
    request = asked(SEARCHED)
    cell = Cell(
        model=request.model,
        dataset=request.dataset,
        n_demonstrations=4,
        settings=SIZES,
    )
    return Judge(ClaimCard(name="c", sentence="s", source="s", on="text"), cell)


def choice(gap: float) -> Observation:
    facts = {
        "wanted": 0.6, "before": 0.4, "hidden": 0.0, "rate": 0.3, "passes": 64,
    }  # fmt: skip
    return Observation(
        arrays={"points": np.full((2, 1, 1), gap)},
        facts={
            "criteria": ["equal accuracy"],
            "places": [[0.3, 64]],
            "equal accuracy": facts,
        },
    )


def test_a_cell_without_a_match_is_dismissed_with_the_nearest_value() -> None:
    found = judge()
    with pytest.raises(Undecided, match="the nearest has 0.45"):
        require_match(choice(-0.15), Equal(quantity="accuracy"), found)
    assert found.judgement is not None
    assert found.judgement.verdict == "not_applicable"
    assert found.judgement.effect.value == pytest.approx(-0.15)


def test_a_match_is_noted_and_goes_on_to_a_verdict() -> None:
    found = judge()
    require_match(choice(-0.019), Equal(quantity="accuracy"), found)
    assert found.judgement is None
    assert "after 64 passes" in found.note


def test_no_match_is_looked_for_before_the_gate() -> None:
    assert "icl_gate" in inspect.signature(gd_matches).parameters


def test_a_set_that_fails_is_infinite_and_the_others_are_read_as_before(
    observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = replace(SEARCHED, criterion=LABEL_LOSS, criteria=(LABEL_LOSS, *LIKE))
    context = fresh(observer, asked(learner.choice, queries="calibration"))
    whole = GradientWalks(context, learner)
    whole.walk(0.01, 1)
    check = TrainingLoop.checked

    def fails_on_the_first(self: TrainingLoop, runs: Any, done: Any) -> TrainedWeights:
        trained = check(self, runs, done)
        failures = ["diverged" if run.index == 0 else "" for run in runs]
        return replace(trained, failures=failures)

    monkeypatch.setattr(TrainingLoop, "checked", fails_on_the_first)
    walks = GradientWalks(context, learner)
    walks.walk(0.01, 1)
    failed, read = walks.points[0.01, 1]
    assert np.isinf(failed).all()
    np.testing.assert_allclose(read, whole.points[0.01, 1][1], atol=1e-6)


class Interrupted(BaseException):
    """Stands for Ctrl-C or a kill."""


@pytest.mark.parametrize("fails", [False, True])
def test_a_search_that_was_interrupted_goes_on_where_it_stood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    learner = GradientLearner(effort=SearchEffort(n_sets=2, passes=16, total=96))
    request = asked(learner.choice, queries="calibration")
    trained: list[float] = []
    advance, most = Walks.advance, math.inf

    def counting(walks: Walks, runs: Any, places: Any, read: Any) -> None:
        if len(trained) >= most:
            raise Interrupted
        trained.append(runs[0].rate)
        if fails and len(trained) == 2:  # all runs of this walk fail
            return
        advance(walks, runs, places, read)

    monkeypatch.setattr(Walks, "advance", counting)
    whole = Observer(Store(tmp_path / "whole")).observe(request)
    n_whole, most = len(trained), len(trained) // 2
    trained.clear()
    with pytest.raises(Interrupted):
        Observer(Store(tmp_path / "store")).observe(request)
    stored = Store(tmp_path / "store")
    (left,) = list_described(stored, StoreFilter(learner="RateChoice"))
    fails, most = False, math.inf
    resumed = Observer(stored).observe(request)
    assert len(trained) == n_whole
    assert resumed.facts["loss"] == whole.facts["loss"]
    np.testing.assert_array_equal(resumed["points"], whole["points"])
    assert left.key not in stored
