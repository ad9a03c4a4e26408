"""Planted mixtures are recovered, and the claim says when GD is not all there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from probes_fixtures import observations as recipes

import claims.test_mixture as claimed
from probes.cards import LinearTasks
from probes.cell import Cell, Settings
from probes.data.regression_tasks import TRAINED_POOL, RegressionTask, teacher_pool
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import OptionError
from probes.learners import (
    AlgorithmMixture,
    Base,
    DiscreteBayes,
    InContext,
    LinearLearner,
)
from probes.learners.algorithm_mixture import MOST, simplex_weights
from probes.measurement import Array
from probes.measures import squared_distance
from probes.observations.observation import Observation
from probes.observations.request import Learner, LearnerContext, Request
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge

SIZES = Settings(n_sets=20, n_queries=30, n_calibration=40)
RATE = 0.1
PARTS: dict[str, Learner] = {
    "GD": LinearLearner(algorithm="gd", steps=1, settings=(RATE,)),
    "ridge": LinearLearner(algorithm="ridge", settings=(1.0,)),
    "dMMSE, 8 teachers": DiscreteBayes(n_teachers=8),
}
WEIGHTS = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A learner that mixes algorithms by given weights, in place of ICL."""

    of: tuple[tuple[str, float], ...]
    noise: float = 0.0
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Mix their predictions."""
        named = [(PARTS[name], weight) for name, weight in self.of]
        answered = [(context.observe(one), weight) for one, weight in named]
        first = answered[0][0]
        mixed = sum(weight * one.predictions for one, weight in answered)
        rng = np.random.default_rng(0)
        noisy = mixed + self.noise * rng.normal(size=first.predictions.shape)
        return replace(first, arrays={**first.arrays, "predictions": noisy})


class PlantingObserver(Observer):
    """Answers with the planted learner where ICL is asked."""

    planted: Learner = InContext()

    def observe(self, request: Request) -> Observation:
        """Answer a request."""
        if isinstance(request.learner, InContext):
            request = replace(request, learner=self.planted)
        return super().observe(request)


def cell_of(kind: str = "learned") -> Cell:
    card = model_named("constructed_gd_1")
    return Cell(
        model=replace(card, kind=kind, declared=()),  # type: ignore[arg-type]
        dataset=dataset_named("linear_noisy"),
        n_demonstrations=10,
        settings=SIZES,
    )


def planting(folder: Path, weights: Mapping[str, float], noise: float = 0) -> Observer:
    observer = PlantingObserver(Store(folder / "store"))
    observer.planted = Planted(of=tuple(weights.items()), noise=noise)
    return observer


@pytest.mark.parametrize(
    "planted",
    [
        {"GD": 1.0},
        {"ridge": 1.0},
        {"dMMSE, 8 teachers": 1.0},
        {"GD": 0.6, "ridge": 0.4},
        {"GD": 0.5, "ridge": 0.3, "dMMSE, 8 teachers": 0.2},
        {"ridge": 0.25, "dMMSE, 8 teachers": 0.75},
    ],
)
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_planted_weights_are_recovered(
    tmp_path: Path, planted: dict[str, float], noise: float
) -> None:
    learner = AlgorithmMixture(of=tuple(PARTS.items()))
    observer = planting(tmp_path, planted, noise)
    found = observer.observe(Request.of(cell_of(), learner)).facts["weights"]
    expected = {name: planted.get(name, 0.0) for name in PARTS}
    assert found == pytest.approx(expected, abs=0.05 if noise else 1e-6)


def test_a_recovered_mixture_predicts_what_was_planted(tmp_path: Path) -> None:
    planted = {"GD": 0.5, "ridge": 0.3, "dMMSE, 8 teachers": 0.2}
    observer, cell = planting(tmp_path, planted), cell_of()
    icl, mixture = (
        observer.observe(Request.of(cell, learner))
        for learner in (InContext(), AlgorithmMixture(of=tuple(PARTS.items())))
    )
    assert squared_distance(icl, mixture).values.max() < 1e-20


@pytest.mark.parametrize(
    ("planted", "verdict"),
    [
        ({"GD": 1.0}, "supported"),
        ({"GD": 0.5, "dMMSE, 8 teachers": 0.5}, "refuted"),
        ({"ridge": 1.0}, "refuted"),
    ],
)
def test_the_claim_is_supported_of_gd_alone(
    tmp_path: Path, planted: dict[str, float], verdict: str
) -> None:
    observer, cell = planting(tmp_path, planted), cell_of()
    names = ("icl", "gd", "mixture", "mixture_without_gd")
    asked = [getattr(recipes, name).recipe(cell) for name in names]
    judge = Judge(claimed.test_which_mixture_of_algorithms.claim, cell)  # type: ignore[attr-defined]
    claim: Any = claimed.test_which_mixture_of_algorithms
    claim(*(observer.observe(Request.of(cell, one)) for one in asked), [], judge)
    assert judge.judgement is not None
    assert judge.judgement.verdict == verdict


def test_a_network_of_few_teachers_has_their_dmmse_among_its_rivals() -> None:
    cell = replace(cell_of(), model=model_named("learned_softmax_m8"))
    own = dict(recipes.mixed_algorithms(cell))["dMMSE, its own 8 teachers"]
    assert own == DiscreteBayes(n_teachers=8, seed=TRAINED_POOL)
    others = replace(cell, model=model_named("learned_softmax_noisy"))
    assert not [name for name, _ in recipes.mixed_algorithms(others) if "own" in name]


@pytest.mark.parametrize(
    ("name", "mean"), [("learned_lsa_1", 0.0), ("learned_lsa_1_shifted", 1.0)]
)
def test_gd_is_fitted_where_the_network_was_trained(name: str, mean: float) -> None:
    cell = replace(cell_of(), model=model_named(name))
    found: Any = recipes.gd_from_home.recipe(cell)
    assert found.fitted_on == LinearTasks(teacher_mean=mean)


def quadratic_loss(parts: Array, target: Array, weights: Array) -> float:
    return float(np.sum((parts @ weights - target) ** 2))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 5))
def test_no_other_weights_on_the_simplex_are_nearer(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    parts, target = rng.normal(size=(12, n)), rng.normal(size=12)
    found = simplex_weights(parts, target)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)
    least = quadratic_loss(parts, target, found)
    for others in rng.dirichlet(np.full(n, 0.5), size=200):
        assert least <= quadratic_loss(parts, target, others) + 1e-9


def test_algorithms_that_predict_the_same_share_a_weight_of_one() -> None:
    parts = np.repeat(np.arange(1.0, 5.0)[:, None], 2, axis=1)
    assert simplex_weights(parts, parts[:, 0]).sum() == pytest.approx(1)


def test_a_mixture_has_one_to_eight_algorithms() -> None:
    for n in (0, MOST + 1):
        with pytest.raises(OptionError, match="1 to 8"):
            AlgorithmMixture(of=(("base", Base()),) * n)


def posterior_mean(task: RegressionTask, teachers: Array, noise: float) -> Array:
    """Average teachers one by one, as the formula says, without a shift."""
    likelihoods = np.array(
        [
            [np.exp(-np.sum((y - x @ w) ** 2) / (2 * noise**2)) for w in teachers]
            for x, y in zip(task.x, task.y, strict=True)
        ]
    )
    return likelihoods @ teachers / likelihoods.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("n_teachers", [1, 2, 8])
def test_dmmse_is_its_formula(tmp_path: Path, n_teachers: int) -> None:
    cell, learner = cell_of(), DiscreteBayes(n_teachers=n_teachers)
    request = Request.of(cell, learner)
    task = request.regression_task()
    teachers = teacher_pool(cell.dataset.rows, n_teachers, seed=0)  # type: ignore[arg-type]
    weights = posterior_mean(task, teachers, 0.5)
    found = Observer(Store(tmp_path)).observe(request).predictions
    expected = np.einsum("sqd,sd->sq", task.queries, weights)
    assert found == pytest.approx(expected, abs=1e-9)


def test_dmmse_finds_a_teacher_among_its_own(tmp_path: Path) -> None:
    learner = DiscreteBayes(n_teachers=8)
    cell = replace(cell_of(), n_demonstrations=200)
    request = Request.of(cell, learner)
    task = request.regression_task()
    teacher = teacher_pool(cell.dataset.rows, 8, seed=0)[3]  # type: ignore[arg-type]
    task = replace(task, y=task.x @ teacher)

    class Fixed(Request):
        def regression_task(self) -> RegressionTask:
            return task

    fixed = Fixed(**{n: getattr(request, n) for n in Request.__dataclass_fields__})
    context = LearnerContext(request=fixed, load=lambda _: None, answer=lambda _: None)  # type: ignore[arg-type,return-value]
    assert learner.observe(context).predictions == pytest.approx(task.queries @ teacher)


def test_a_prior_needs_a_teacher() -> None:
    with pytest.raises(OptionError, match="at least 1"):
        DiscreteBayes(n_teachers=0)
