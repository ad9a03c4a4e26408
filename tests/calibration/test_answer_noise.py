"""Noise is a part of a learner: it has its size, and does not know the order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from probes.calibration.answer_noise import WithNoise
from probes.cell import Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import Activations, Base, InContext, LinearLearner
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named

SIZES = Settings(n_sets=4, n_queries=20, n_calibration=20)
GD = LinearLearner(algorithm="gd", settings=(0.1,))


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(Store(tmp_path_factory.mktemp("store")))


def asked(learner: Any, *, on: str = "hmm_llama", **changes: Any) -> Request:
    is_text = on == "hmm_llama"
    return Request(
        learner=learner,
        model=model_named(on),
        dataset=dataset_named("hmm" if is_text else "linear"),
        n_demonstrations=4 if is_text else 10,
        settings=SIZES,
        **changes,
    )


def size_of(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def test_noise_on_text_is_a_share_of_what_learning_changes(observer: Observer) -> None:
    noisy, icl, base = (
        observer.observe(asked(learner))
        for learner in (WithNoise(of=InContext(), size=0.1), InContext(), Base())
    )
    np.testing.assert_allclose(np.exp(noisy.log_probs).sum(-1), 1, atol=1e-5)
    moved = noisy.log_probs - icl.log_probs
    centred = moved - moved.mean(axis=-1, keepdims=True)  # less the normaliser
    change = size_of(icl.log_probs - base.log_probs)
    assert size_of(centred) == pytest.approx(0.1 * change, rel=0.05)


def test_noise_on_regression_is_a_share_of_the_answers(observer: Observer) -> None:
    request = asked(WithNoise(of=GD, size=0.05), on="learned_lsa_1")
    noisy, gd = (
        observer.observe(request),
        observer.observe(asked(GD, on="learned_lsa_1")),
    )
    moved = noisy.predictions - gd.predictions
    assert size_of(moved) == pytest.approx(0.05 * size_of(gd["answers"]), rel=0.2)


def difference(observer: Observer, learner: Any, order: int) -> Any:
    noisy: Observation = observer.observe(
        asked(WithNoise(of=learner, size=0.5), on="learned_lsa_1", order=order)
    )
    plain = observer.observe(asked(learner, on="learned_lsa_1", order=order))
    return noisy.predictions - plain.predictions


def test_noise_is_the_same_in_every_order(observer: Observer) -> None:
    np.testing.assert_allclose(
        difference(observer, GD, 0), difference(observer, GD, 3), atol=1e-12
    )


@pytest.mark.parametrize(
    "view",
    [
        {"draw": 1},
        {"labels": "shuffled"},
        {"queries": "calibration"},
        {"shown": "all_but_one"},
    ],
)
def test_noise_is_new_for_other_views(observer: Observer, view: Any) -> None:
    noisy = WithNoise(of=InContext(), size=1.0)
    ours, theirs = (
        observer.observe(asked(noisy, **seen)).log_probs
        - observer.observe(asked(InContext(), **seen)).log_probs
        for seen in ({}, view)
    )
    theirs = theirs[: len(ours)]  # a view of single demonstrations has more sets
    assert abs(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]) < 0.3


def test_scores_move_with_their_demonstrations(observer: Observer) -> None:
    inside = Activations(of=InContext())
    noisy, plain = (
        observer.observe(asked(learner))
        for learner in (WithNoise(of=inside, size=0.5), inside)
    )
    moved = noisy["demonstration_scores"] - plain["demonstration_scores"]
    owners = plain["owners"][0]
    for owner in range(4):
        of_one = moved[0][..., owners == owner]
        assert size_of(of_one) > 0
        np.testing.assert_allclose(
            of_one, of_one[..., :1].repeat(of_one.shape[-1], -1), atol=1e-4
        )
    assert not moved[0][..., owners < 0].any()
    is_padding = plain["maps"] == 0
    assert not noisy["maps"][is_padding].any()


def test_noise_of_size_0_is_none(observer: Observer, tmp_path: Path) -> None:
    plain = observer.observe(asked(InContext()))
    noisy = observer.observe(asked(WithNoise(of=InContext(), size=0.0)))
    np.testing.assert_allclose(noisy.log_probs, plain.log_probs, atol=1e-5)
