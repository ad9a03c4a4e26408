"""Requests that share a training are answered as each would be alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from probes_fixtures.variants import CRITERIA

from probes.cell import Settings
from probes.engine.observer import Observer
from probes.engine.requests_by_work import RequestsByWork
from probes.engine.store import Store
from probes.errors import NumericsError
from probes.learners import Activations, GradientLearner, InContext
from probes.learners.layer_causal import LayerCausal
from probes.learners.search_effort import SearchEffort
from probes.models.training.trainer import Trainer
from probes.observations.request import Request
from probes.observations.shared_work import work_of
from probes.run.grid import dataset_named, model_named

SIZES = Settings(n_sets=3, n_queries=4, n_calibration=8)
NAMES = ("loss", "equal change", "token_overlap")
SEARCHED = GradientLearner(
    criteria=tuple(CRITERIA[name] for name in NAMES),
    effort=SearchEffort(n_sets=2, passes=16, total=200),
)
VARIANTS: list[Any] = [replace(SEARCHED, criterion=c) for c in SEARCHED.criteria]
GROUP: list[Any] = [*VARIANTS, *(Activations(of=one) for one in VARIANTS[:2])]


def asked(learner: Any, **changes: Any) -> Request:
    return Request(
        learner=learner,
        model=model_named("hmm_llama"),
        dataset=dataset_named("hmm"),
        n_demonstrations=4,
        settings=SIZES,
        **changes,
    )


def observer_of(folder: Path, learners: list[Any]) -> Observer:
    sharing = RequestsByWork(lambda: map(asked, learners))
    return Observer(Store(folder), sharing=sharing)


def test_each_answer_is_that_of_the_request_alone(tmp_path: Path) -> None:
    together = observer_of(tmp_path / "together", GROUP)
    together.observe(asked(GROUP[0]))
    assert {asked(one).key for one in GROUP} <= together.measured
    alone = observer_of(tmp_path / "alone", [])
    places = set()
    for learner in GROUP:
        ours, theirs = (o.observe(asked(learner)) for o in (together, alone))
        assert set(ours.arrays) == set(theirs.arrays)
        for name, array in theirs.arrays.items():
            np.testing.assert_allclose(ours[name], array, atol=1e-5, err_msg=name)
        if learner in VARIANTS:
            places.add((ours.facts["rate"], ours.facts["passes"]))
            assert ours.facts["rate"] == theirs.facts["rate"]
    assert len(places) > 1  # else nothing was told apart


def test_a_pass_is_counted_once(tmp_path: Path) -> None:
    observer = observer_of(tmp_path, GROUP)
    found = [observer.observe(asked(one)).facts for one in GROUP]
    walked: dict[float, int] = {}
    for facts in found[: len(VARIANTS)]:
        rate = facts["rate"]
        walked[rate] = max(walked.get(rate, 0), facts["passes"])
    assert sum(facts["own_passes"] for facts in found) == sum(walked.values())
    single = observer_of(tmp_path / "alone", []).observe(asked(VARIANTS[0])).facts
    assert single["own_passes"] == single["passes"]


def test_every_set_is_trained_once_at_a_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, walk = [], Trainer.walk
    monkeypatch.setattr(
        Trainer,
        "walk",
        lambda self, runs, *of: (trained.extend(runs), walk(self, runs, *of))[1],
    )
    observer = observer_of(tmp_path, GROUP)
    rates = {observer.observe(asked(one)).facts["rate"] for one in VARIANTS}
    for one in GROUP[len(VARIANTS) :]:
        observer.observe(asked(one))
    assert len(trained) == SIZES.n_sets * len(rates)


def test_an_error_concerns_its_request_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise NumericsError("it cannot be recorded")

    monkeypatch.setattr("probes.learners.activations_of_weights._alone", refuse)
    observer = observer_of(tmp_path, GROUP)
    observer.observe(asked(GROUP[-1].of))
    assert asked(VARIANTS[0]).key in observer.measured
    with pytest.raises(NumericsError, match="cannot be recorded"):
        observer.observe(asked(GROUP[-1]))


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    first = observer_of(tmp_path, [])
    first.observe(asked(GROUP[1]))
    second = observer_of(tmp_path, GROUP)
    second.observe(asked(GROUP[0]))
    assert asked(GROUP[1]).key not in second.measured
    assert asked(GROUP[2]).key in second.measured


def test_other_trainings_and_other_views_share_nothing() -> None:
    work = work_of(asked(VARIANTS[0]))
    assert all(work_of(asked(one)) == work for one in GROUP)
    others = [
        asked(VARIANTS[0], labels="shuffled"),
        asked(replace(VARIANTS[0], batch_size=1)),
        asked(LayerCausal(criteria=SEARCHED.criteria, effort=SEARCHED.effort)),
    ]
    assert all(work_of(other) not in (None, work) for other in others)
    assert work_of(asked(InContext())) is None
    assert work_of(asked(Activations(of=InContext()))) is None


def test_a_full_batch_has_no_order() -> None:
    assert asked(VARIANTS[0], order=3).order == 0
    one_by_one = replace(VARIANTS[0], batch_size=1)
    assert asked(one_by_one, order=3).order == 3
    assert asked(InContext(), order=3).order == 3


CHOSEN = {
    "rate": 0.1,
    "passes": 2,
    "curves": [[0.01, [[1, 3.0]]], [0.1, [[1, 2.0], [2, 1.0], [8, 1.5], [16, None]]]],
}


class Chosen:
    """A context in which a search has ended."""

    def choose(self, choice: Any) -> dict[str, Any]:
        return {"loss": CHOSEN}


@pytest.mark.parametrize(
    ("read_after", "passes"), [(None, 2), (1, 1), (2, 2), (4, 2), (8, 8), (256, 8)]
)
def test_weights_are_read_on_the_way_as_far_as_the_search_has_walked(
    read_after: int | None, passes: int
) -> None:
    learner = replace(SEARCHED, read_after=read_after)
    settings = learner.settings_in(Chosen())  # type: ignore[arg-type]
    assert (settings["rate"], settings["passes"]) == (0.1, passes)
    assert ("curves" in settings) == (read_after is None)  # else it is no choice


def test_what_is_read_on_the_way_shares_the_training_and_its_choice() -> None:
    on_the_way = asked(replace(SEARCHED, read_after=4))
    assert work_of(on_the_way) == work_of(asked(SEARCHED))
    assert on_the_way.learner.choice == SEARCHED.choice
    assert on_the_way.key != asked(SEARCHED).key
