"""Explanations of ICL without gradients: label prior and neighbours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from probes.cell import Settings
from probes.data.datasets import read_rows
from probes.data.text_tasks import TextTask, draw_text
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import Base, LabelPrior, RepresentationNeighbours
from probes.measures import label_total_variation
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named

SIZES = Settings(n_sets=2, n_queries=3, n_calibration=2)
N_SHOWN = 4


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(Store(tmp_path_factory.mktemp("store")))


def asked(learner: Any, **changes: Any) -> Request:
    return Request(
        learner=learner,
        model=model_named("hmm_llama"),
        dataset=dataset_named("hmm"),
        n_demonstrations=N_SHOWN,
        settings=SIZES,
        **changes,
    )


def shown() -> TextTask:
    rows = read_rows(dataset_named("hmm"), None)
    return draw_text(rows, SIZES, n_demonstrations=N_SHOWN)


def test_the_label_prior_is_laplaces_rule(observer: Observer) -> None:
    found = np.exp(observer.observe(asked(LabelPrior())).label_log_probs)
    n_labels = found.shape[-1]
    for answers, examples in zip(found, shown().demonstrations, strict=True):
        counts = np.bincount([e.label for e in examples], minlength=n_labels)
        expected = (counts + 1) / (N_SHOWN + n_labels)
        assert np.allclose(answers, expected, atol=1e-6)


@pytest.mark.parametrize("learner", [LabelPrior(), RepresentationNeighbours()])
def test_tokens_that_are_no_labels_keep_what_the_model_gives_them(
    observer: Observer, learner: Any
) -> None:
    base, voted = (observer.observe(asked(one)) for one in (Base(), learner))
    others = np.setdiff1d(np.arange(base.n_vocab), base.label_tokens)
    assert np.allclose(voted.log_probs[..., others], base.log_probs[..., others])
    assert np.allclose(np.exp(voted.log_probs).sum(axis=-1), 1, atol=1e-5)


def test_neighbours_at_any_distance_are_the_label_prior(observer: Observer) -> None:
    prior = observer.observe(asked(LabelPrior(smoothing=0.1)))
    far = observer.observe(asked(RepresentationNeighbours(temperature=1e6)))
    assert label_total_variation(prior, far).mean == pytest.approx(0, abs=1e-4)


def test_a_demonstration_that_is_the_query_outvotes_the_others(
    observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = shown()
    same = replace(task, queries=tuple(s[:1] for s in task.demonstrations))
    monkeypatch.setattr(Request, "text_task", lambda self, keep: same)
    nearest = RepresentationNeighbours(temperature=0.001, smoothing=1e-3)
    found = observer.observe(asked(nearest, draw=1))
    # A text of other label may be the same text; the first example is the only query.
    texts = [[e.ask for e in s] for s in task.demonstrations]
    assert all(t.count(t[0]) == 1 for t in texts)
    likeliest = found.label_log_probs[:, 0].argmax(axis=-1)
    assert likeliest.tolist() == [s[0].label for s in task.demonstrations]


def test_neighbours_ignore_the_order_of_demonstrations(observer: Observer) -> None:
    first, second = (
        observer.observe(asked(RepresentationNeighbours(), order=order))
        for order in (0, 1)
    )
    assert label_total_variation(first, second).mean == pytest.approx(0, abs=1e-5)


def halves(p: float) -> Observation:
    arrays = {"log_probs": np.log(np.array([[[p, (1 - p) / 2, (1 - p) / 2]]]))}
    return Observation(arrays=arrays, facts={"label_tokens": [0, 1]})


def test_total_variation_over_labels_is_that_of_their_shares() -> None:
    # Shares of the labels: 1/2 and 1/2 against .8 and .2, whatever the third token has.
    assert label_total_variation(halves(1 / 3), halves(2 / 3)).mean == pytest.approx(
        0.3
    )
    assert label_total_variation(halves(0.5), halves(0.5)).mean == 0
