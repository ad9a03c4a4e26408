"""Updates that reproduce ICL, and the directions of updates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import claims.test_update_directions as claimed
from probes.cell import Cell, Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import ShapeError
from probes.learners import (
    Base,
    Distilled,
    GradientLearner,
    InContext,
    RandomUpdate,
    UpdateDirections,
)
from probes.learners.rate_choice import RateChoice
from probes.measurement import Array
from probes.measures import jensen_shannon, subspace_overlap
from probes.models.untrained import untrained_model
from probes.observations.observation import Observation
from probes.run.grid import dataset_named, model_named
from probes.verdicts.equivalence import describe
from probes.verdicts.judge import Judge
from tests.support.tiny_models import HMM, ask

SIZES = Settings(n_sets=3, n_queries=20, n_calibration=4)
DISTILLED = Distilled(weights="lora@all", rate=1.0, passes=30)
N_MATRICES, RANK, D = 16, 4, 64


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(Store(tmp_path_factory.mktemp("store")))


def directions(observer: Observer, learner: Any, **changes: Any) -> Observation:
    return observer.observe(ask(UpdateDirections(of=learner), SIZES, **changes))


def test_what_is_distilled_answers_as_icl_does(observer: Observer) -> None:
    icl, base, ours = (
        observer.observe(ask(one, SIZES)) for one in (InContext(), Base(), DISTILLED)
    )
    near, far = jensen_shannon(icl, ours).values, jensen_shannon(icl, base).values
    assert 1 - near[:, ::2].mean() < (1 - far[:, ::2].mean()) / 2  # what it learned
    assert near[:, 1::2].mean() > far[:, 1::2].mean()  # and what it did not


def test_other_orders_of_demonstrations_are_other_answers() -> None:
    assert ask(DISTILLED, SIZES, order=1).order == 1
    assert ask(replace(DISTILLED, rate=None), SIZES).key != ask(DISTILLED, SIZES).key


def test_both_halves_and_random_weights_have_the_rate_of_the_trained_network() -> None:
    searched = replace(DISTILLED, rate=None)
    random = untrained_model(HMM)
    asked = [
        ask(searched, SIZES),
        ask(replace(searched, half="odd"), SIZES),
        ask(replace(searched, chosen_on=HMM), SIZES, model=random),
    ]
    choices = {one.learner.needed(one)[1].key for one in asked}
    assert len(choices) == 1
    needed = searched.needed(ask(searched, SIZES, model=random))
    (own,) = (one for one in needed if isinstance(one.learner, RateChoice))
    assert own.key not in choices


def test_an_update_of_low_rank_has_directions_in_every_matrix(
    observer: Observer,
) -> None:
    found = directions(observer, DISTILLED)
    assert found["directions"].shape == (3, N_MATRICES, RANK, D)
    assert found.facts["n_outputs"] == [D] * N_MATRICES
    assert np.linalg.norm(found["directions"], axis=-1) == pytest.approx(1, abs=1e-5)
    assert subspace_overlap(found, found).values == pytest.approx(1, abs=1e-5)


def test_matrices_that_do_not_move_have_no_direction(observer: Observer) -> None:
    gd = GradientLearner(rate=0.1, passes=2, weights="W_V@middle")
    moved = np.linalg.norm(directions(observer, gd)["directions"], axis=-1) > 0
    assert moved.any(axis=(0, 2)).sum() == 1


def test_two_random_updates_overlap_by_chance(observer: Observer) -> None:
    """Those of two demonstration sets, which have seeds of their own."""
    random = RandomUpdate(matched_to=GradientLearner(rate=0.1, passes=2))
    ours = directions(observer, random)
    rolled = np.roll(ours["directions"], 1, axis=0)
    shifted = replace(ours, arrays={"directions": rolled})
    found = subspace_overlap(ours, shifted)
    effect = describe(found)
    assert found.chance == RANK / D
    assert effect.low is not None
    assert effect.high is not None
    assert effect.low < RANK / D < effect.high
    assert found.mean == pytest.approx(RANK / D, abs=0.01)


def test_updates_of_other_models_are_refused() -> None:
    ours, theirs = (Observation(arrays={"directions": np.ones((1, n, 1, 2))}) for n in
                    (1, 2))  # fmt: skip
    with pytest.raises(ShapeError, match="Compare updates of one model"):
        subspace_overlap(ours, theirs)


# ------------------------------------------------------------------ planted verdicts


def planted(seed: int, shared: Array | None = None, noise: float = 0.0) -> Array:
    """Draw orthonormal directions, perhaps near to others."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(10, N_MATRICES, D, RANK)) / np.sqrt(D)
    if shared is not None:
        drawn = shared.swapaxes(-1, -2) + noise * drawn
    return np.asarray(np.linalg.qr(drawn)[0].swapaxes(-1, -2))


ICL = planted(0)
AGAIN = planted(1, ICL, noise=0.5)


def verdict(gd: Array) -> str:
    claim: Any = claimed.test_update_that_reproduces_icl_is_gds
    cell = Cell(
        model=model_named("hmm_llama"),
        dataset=dataset_named("hmm"),
        n_demonstrations=4,
        settings=Settings(),
    )
    judge = Judge(claim.claim, cell)
    icl, again, learner, random = (
        Observation(arrays={"directions": one}, facts={"n_outputs": [D] * N_MATRICES})
        for one in (ICL, AGAIN, gd, planted(2))
    )
    floors = {"a random update of the same size": (icl, random)}
    claim(icl, again, again, learner, learner, floors, judge)
    assert judge.judgement is not None
    return judge.judgement.verdict


@pytest.mark.parametrize("gd", [ICL, AGAIN, ICL[..., ::-1, :]])
def test_gd_in_the_directions_that_reproduce_icl_is_supported(gd: Array) -> None:
    assert verdict(gd) == "supported"


@pytest.mark.parametrize(
    "gd",
    [
        planted(3),
        planted(4, ICL, noise=2.0),
        np.concatenate([ICL[:, :, :1], planted(5)[:, :, 1:]], axis=2),  # one of four
    ],
)
def test_gd_in_other_directions_is_refuted(gd: Array) -> None:
    assert verdict(gd) == "refuted"
