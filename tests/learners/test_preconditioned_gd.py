"""Preconditioned GD: its closed form, its steps, and the network that is it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import claims.test_preconditioning as claimed
from probes.cards import LinearTasks
from probes.cell import Cell, Settings
from probes.data.regression_tasks import (
    best_one_step_rate,
    best_preconditioner,
    draw_tasks,
)
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import OptionError
from probes.learners import InContext, LinearLearner, PreconditionedGD
from probes.learners.preconditioned_gd import with_scaled_inputs
from probes.measures import prediction_distance
from probes.observations.request import Learner, Request
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge

SIZES = Settings(n_sets=10, n_queries=40)
SKEWED = LinearTasks(n_inputs=3, condition=4.0, noise=0.5, teacher_scale=2.0)
PLAIN, PRECONDITIONED = LinearLearner(algorithm="gd"), PreconditionedGD()
BY_VARIANT: dict[str, Learner] = {"gd": PLAIN, "preconditioned_gd": PRECONDITIONED}


def observer(folder: Path) -> Observer:
    return Observer(Store(folder / "store"))


def cell_of(model: str, variant: str, **changes: Any) -> Cell:
    return Cell(
        model=replace(model_named(model), **changes),
        dataset=dataset_named("linear_skewed"),
        n_demonstrations=10,
        settings=SIZES,
        variant=variant,
    )


def verdict(folder: Path, cell: Cell) -> str:
    claim: Any = claimed.test_preconditioned_gd
    seen = observer(folder)
    icl, gd = (
        seen.observe(Request.of(cell, learner))
        for learner in (InContext(), BY_VARIANT[cell.variant or ""])
    )
    judge = Judge(claim.claim, cell)
    claim(icl, gd, [], judge)
    assert judge.judgement is not None
    return judge.judgement.verdict


def test_equal_variances_have_the_rate_of_plain_gd() -> None:
    tasks = LinearTasks(n_inputs=10, input_scale=0.5)
    expected = best_one_step_rate(tasks, 10)
    assert best_preconditioner(tasks, 10) == pytest.approx((expected,) * 10)
    assert expected == pytest.approx(0.60606, abs=1e-5)


@pytest.mark.parametrize("inputs", ["uniform", "normal", "laplace"])
def test_no_other_rates_have_less_loss(inputs: Any) -> None:
    """The loss of many drawn tasks is a parabola in each rate; its minimum is found."""
    tasks, n = replace(SKEWED, inputs=inputs), 5
    scales = 4.0 ** (-np.arange(3) / 2)
    rng = np.random.default_rng(0)
    draws: dict[str, Any] = {
        "uniform": lambda shape: rng.uniform(-1, 1, shape),
        "normal": lambda shape: rng.normal(0, 3**-0.5, shape),
        "laplace": lambda shape: rng.laplace(0, 6**-0.5, shape),
    }
    x = draws[inputs]((400_000, n, 3)) * scales
    w = rng.normal(0, 2.0, (400_000, 3))
    y = np.einsum("snd,sd->sn", x, w) + 0.5 * rng.normal(size=(400_000, n))
    moment = np.einsum("sn,snd->sd", y, x)  # ŷ = Σ_j x_j a_j moment_j
    found = (moment * w).mean(axis=0) / (moment**2).mean(axis=0)
    assert found == pytest.approx(best_preconditioner(tasks, n), rel=0.02)


def test_inputs_or_teachers_that_are_not_centred_have_no_closed_form() -> None:
    for tasks in (LinearTasks(inputs="exponential"), LinearTasks(teacher_mean=1.0)):
        with pytest.raises(OptionError, match="Expected inputs among uniform, normal"):
            best_preconditioner(tasks, 10)


@pytest.mark.parametrize("steps", [1, 3])
def test_its_steps_are_those_of_the_definition(tmp_path: Path, steps: int) -> None:
    cell = cell_of("constructed_gd_1", "gd")
    learner = PreconditionedGD(steps=steps, factor=0.9)
    request = Request.of(cell, learner)
    found = observer(tmp_path).observe(request)
    task, rates = request.regression_task(), np.array(found.facts["settings"])
    assert rates == pytest.approx(
        0.9
        * np.array(
            best_preconditioner(
                cell.dataset.rows,
                10,  # type: ignore[arg-type]
            )
        )
    )
    weights = np.zeros((10, 10))
    for _ in range(steps):
        errors = task.y - np.einsum("snd,sd->sn", task.x, weights)
        weights = weights + rates * np.einsum("sn,snd->sd", errors, task.x)
    expected = np.einsum("sqd,sd->sq", task.queries, weights)
    assert found.predictions == pytest.approx(expected, abs=1e-12)


def test_scaled_inputs_keep_the_answers() -> None:
    task = draw_tasks(SKEWED, n_sets=2, n_demonstrations=4, n_queries=3, seed=0)
    scaled = with_scaled_inputs(task, np.array([1.0, 2.0, 3.0]))
    assert (scaled.x == task.x * [1, 2, 3]).all()
    assert (scaled.queries == task.queries * [1, 2, 3]).all()
    assert (scaled.y == task.y).all()


@pytest.mark.parametrize(
    ("model", "variant", "expected"),
    [
        ("constructed_preconditioned_gd_1", "gd", "refuted"),
        ("constructed_preconditioned_gd_1", "preconditioned_gd", "supported"),
        ("constructed_gd_1", "gd", "supported"),
        ("constructed_gd_1", "preconditioned_gd", "refuted"),
    ],
)
def test_each_construction_is_its_own_algorithm_and_not_the_other(
    tmp_path: Path, model: str, variant: str, expected: str
) -> None:
    assert verdict(tmp_path, cell_of(model, variant)) == expected


@pytest.mark.parametrize(
    ("model", "variant", "expected"),
    [
        ("constructed_preconditioned_gd_1", "gd", "refuted"),
        ("constructed_preconditioned_gd_1", "preconditioned_gd", "supported"),
        ("constructed_gd_1", "gd", "supported"),
    ],
)
def test_intervals_say_the_same_of_networks_that_declare_nothing(
    tmp_path: Path, model: str, variant: str, expected: str
) -> None:
    cell = cell_of(model, variant, kind="learned", declared=())
    assert verdict(tmp_path, cell) == expected


def test_the_fitted_factor_finds_the_network_to_rounding(tmp_path: Path) -> None:
    cell = cell_of("constructed_preconditioned_gd_1", "gd", kind="learned", declared=())
    seen = observer(tmp_path)
    icl, gd = (seen.observe(Request.of(cell, a)) for a in (InContext(), PRECONDITIONED))
    assert prediction_distance(icl, gd).values.max() < 1e-12
