"""A planted learner answers where ICL or GD is asked, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from probes_fixtures.variants import CRITERIA

from probes.calibration.planted_observer import PlantedObserver
from probes.calibration.plants import OTHER_ORDER, PLANTS, Plant
from probes.cell import Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.engine.time_limit import TimeLimit
from probes.learners import (
    Activations,
    Base,
    GradientLearner,
    InContext,
    LayerCausal,
    LinearLearner,
    RandomUpdate,
)
from probes.learners.rate_choice import RateChoice
from probes.learners.search_effort import SearchEffort
from probes.models.untrained import untrained_model
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named

SIZES = Settings(n_sets=2, n_queries=3, n_calibration=4)
NEAREST = CRITERIA["jensen_shannon"]
SEARCHED = GradientLearner(
    criterion=NEAREST,
    criteria=(NEAREST,),
    effort=SearchEffort(n_sets=2, passes=32, total=128),
)
GD = PLANTS["GD at rate 0.01"]
UNTOUCHED_GD = PLANTS["untouched model in place of GD"]


def observer(folder: Path, plant: Plant) -> PlantedObserver:
    return PlantedObserver(
        Store(folder / plant.name.replace(" ", "_")),
        shared=Store(folder / "shared"),
        plant=plant,
        limit=TimeLimit(None),
    )


def asked(learner: Any, *, on: str = "hmm_llama", **changes: Any) -> Request:
    is_text = on == "hmm_llama"
    changes.setdefault("model", model_named(on))
    return Request(
        learner=learner,
        dataset=dataset_named("hmm" if is_text else "linear"),
        n_demonstrations=4 if is_text else 10,
        settings=SIZES,
        **changes,
    )


def same(ours: Observation, theirs: Observation) -> bool:
    return all(np.array_equal(ours[name], theirs[name]) for name in ours.arrays)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(Store(tmp_path_factory.mktemp("real")))


def test_gd_answers_where_icl_is_asked(real: Observer, tmp_path: Path) -> None:
    planted = observer(tmp_path, GD)
    for view in ({}, {"order": 1}, {"labels": "shuffled"}, {"queries": "calibration"}):
        answered = planted.observe(asked(InContext(), **view))
        assert same(answered, real.observe(asked(GD.text, **view)))
        assert not same(answered, real.observe(asked(InContext(), **view)))


def test_the_choice_of_a_rate_sees_the_gd_that_icl_is(
    real: Observer, tmp_path: Path
) -> None:
    choice = asked(RateChoice(of=SEARCHED), queries="calibration")
    planted = observer(tmp_path, GD).observe(choice).facts[NEAREST.name]["value"]
    assert planted <= 0.01
    assert real.observe(choice).facts[NEAREST.name]["value"] > 0.05


def test_activations_are_those_of_the_planted_learner(
    real: Observer, tmp_path: Path
) -> None:
    answered = observer(tmp_path, GD).observe(asked(Activations(of=InContext())))
    assert same(answered, real.observe(asked(Activations(of=GD.text))))


@pytest.mark.parametrize("learner", [InContext(), GradientLearner(rate=0.1, passes=1)])
@pytest.mark.parametrize("plant", [GD, UNTOUCHED_GD])
def test_an_untrained_model_answers_itself(
    real: Observer, tmp_path: Path, plant: Plant, learner: Any
) -> None:
    request = asked(learner, model=untrained_model(model_named("hmm_llama")))
    assert same(observer(tmp_path, plant).observe(request), real.observe(request))
    assert request.key in Store(tmp_path / "shared")


def test_gd_is_replaced_for_claims_but_not_for_learners(
    real: Observer, tmp_path: Path
) -> None:
    gd = GradientLearner(rate=0.1, passes=1)
    planted = observer(tmp_path, UNTOUCHED_GD)
    assert same(planted.observe(asked(gd)), real.observe(asked(Base())))
    update = asked(RandomUpdate(matched_to=gd))
    assert same(planted.observe(update), real.observe(update))


def test_rivals_of_gd_are_not_replaced() -> None:
    for learner in (LayerCausal(rate=0.1, passes=1), Base(), InContext()):
        assert not UNTOUCHED_GD.changes(asked(learner), asked_by_claim=True)
    ridge = asked(LinearLearner(algorithm="ridge"), on="learned_lsa_1")
    assert not UNTOUCHED_GD.changes(ridge, asked_by_claim=True)


def test_layers_become_steps_and_steps_layers() -> None:
    layer = GD.planted(asked(InContext(depth=3), on="learned_lsa_5"))
    assert layer.learner == LinearLearner(algorithm="gd", steps=3, settings=(0.01,))
    steps = LinearLearner(algorithm="gd", steps=2, fitted_steps=5)
    icl = PLANTS["ICL in place of GD"].planted(asked(steps, on="learned_lsa_5"))
    assert icl.learner == InContext(depth=2)


def test_another_order_is_another_one_in_every_view() -> None:
    plant = PLANTS["ICL in another order"]
    shifted = plant.planted(asked(InContext(), order=2))
    assert shifted.order == 2 + OTHER_ORDER
    assert replace(shifted, order=2) == asked(InContext(), order=2)


def test_gd_that_is_nearest_asks_the_true_icl(real: Observer, tmp_path: Path) -> None:
    nearest = replace(GD, text=replace(SEARCHED), name="nearest")
    planted = observer(tmp_path, nearest).observe(asked(InContext()))
    assert same(planted, real.observe(asked(SEARCHED)))
    assert planted.facts["rate"] > 0


def test_a_planted_learner_is_kept_for_all_plants(tmp_path: Path) -> None:
    request = asked(InContext())
    observer(tmp_path, GD).observe(request)
    assert GD.planted(request).key in Store(tmp_path / "shared")
    assert request.key not in Store(tmp_path / "shared")


def test_a_plant_of_icl_leaves_the_shared_store_true(
    real: Observer, tmp_path: Path
) -> None:
    choice = asked(RateChoice(of=SEARCHED), queries="calibration")
    observer(tmp_path, GD).observe(choice)
    as_it_is = observer(tmp_path, PLANTS["as it is"]).observe(choice)
    assert as_it_is.facts[NEAREST.name] == real.observe(choice).facts[NEAREST.name]
