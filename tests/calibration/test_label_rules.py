"""Rules that read no query answer with a demonstration's label, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from probes.calibration.label_rules import LastAnswer, MajorityLabel
from probes.cell import Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import Base
from probes.measurement import Array
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named

SIZES = Settings(n_sets=3, n_queries=5, n_calibration=4)


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(Store(tmp_path_factory.mktemp("store")))


def asked(learner: Any, *, on: str = "hmm_llama", **changes: Any) -> Request:
    is_text = on == "hmm_llama"
    return Request(
        learner=learner,
        model=model_named(on),
        dataset=dataset_named("hmm" if is_text else "linear"),
        n_demonstrations=16 if is_text else 10,
        settings=SIZES,
        **changes,
    )


def labels_shown(observer: Observer, request: Request) -> list[list[int]]:
    task = observer.context(request).prompts().task
    return [[example.label for example in shown] for shown in task.demonstrations]


def label_shares(observer: Observer, request: Request) -> Array:
    """Give the labels' shares of their probability, (n_sets, n_queries, n_labels)."""
    tokens = list(observer.context(request).prompts().labels.first_tokens)
    found = np.exp(observer.observe(request).log_probs[..., tokens].astype(float))
    return np.asarray(found / found.sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("order", [0, 1])
def test_the_last_label_is_copied_in_every_order(
    observer: Observer, order: int
) -> None:
    request = asked(LastAnswer(), order=order)
    last = [labels[-1] for labels in labels_shown(observer, request)]
    shares = label_shares(observer, request)
    assert (shares.argmax(axis=-1) == np.array(last)[:, None]).all()
    assert shares.max(axis=-1).min() > 0.97


def test_the_majority_label_does_not_depend_on_order(observer: Observer) -> None:
    request = asked(MajorityLabel())
    most = [np.bincount(shown).argmax() for shown in labels_shown(observer, request)]
    shares = label_shares(observer, request)
    assert (shares.argmax(axis=-1) == np.array(most)[:, None]).all()
    np.testing.assert_array_equal(
        shares, label_shares(observer, asked(MajorityLabel(), order=1))
    )


def test_other_tokens_keep_their_probability(observer: Observer) -> None:
    request = asked(LastAnswer())
    tokens = list(observer.context(request).prompts().labels.first_tokens)
    answers, base = (
        observer.observe(asked(learner)) for learner in (LastAnswer(), Base())
    )
    others = np.delete(np.arange(answers.n_vocab), tokens)
    np.testing.assert_array_equal(
        answers.log_probs[..., others], base.log_probs[..., others]
    )


def test_the_last_number_of_a_regression_task_is_copied(observer: Observer) -> None:
    request = asked(LastAnswer(), on="learned_lsa_1", order=1)
    copied = observer.observe(request)
    last = request.regression_task().y[:, -1]
    assert (copied.predictions == last[:, None]).all()
    assert not copied["sensitivities"].any()
    first = asked(LastAnswer(), on="learned_lsa_1")
    assert (
        request.regression_task().y[:, -1] != first.regression_task().y[:, -1]
    ).any()


def test_without_demonstrations_the_copied_number_is_zero(observer: Observer) -> None:
    request = asked(LastAnswer(), on="learned_lsa_1", shown="none")
    copied = observer.observe(request).predictions
    assert copied.shape == (3, 5)
    assert not copied.any()
