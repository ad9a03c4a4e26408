"""Layers matched with steps: constructions, and Newton's steps counted in GD's."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from probes_fixtures.steps import STEPS

from probes.cards import Construction, LinearTasks
from probes.data.regression_tasks import RegressionTask, draw_tasks
from probes.errors import OptionError, ShapeError
from probes.learners import AlgorithmTrajectory, LinearLearner
from probes.learners.eigenbasis import solve
from probes.learners.in_context import regression_observation
from probes.learners.regression_algorithms import linear_observation
from probes.learners.trajectories import DIVERGED
from probes.measures import step_matching
from probes.measures.step_matching import matching_details, matching_remark
from probes.models.regression.construction import construct
from probes.models.regression.linear_attention import LinearAttention
from probes.observations.observation import Observation

D = 4
SETTINGS: dict[str, tuple[float, ...]] = {
    "gd": (0.1,), "gdpp": (0.1, 0.03), "newton": (0.02,)
}  # fmt: skip


def tasks(n: int = 8) -> RegressionTask:
    return draw_tasks(
        LinearTasks(n_inputs=D), n_sets=6, n_demonstrations=n, n_queries=5, seed=0
    )


def orthogonal_tasks(eigenvalue: float) -> RegressionTask:
    """Draw tasks whose XᵀX is a multiple of I: all directions converge alike."""
    task = tasks(D)
    bases = np.linalg.qr(task.x)[0] * np.sqrt(eigenvalue)
    teacher = np.random.default_rng(1).normal(size=(6, D))
    return replace(
        task,
        x=bases,
        y=np.einsum("snd,sd->sn", bases, teacher),
        answers=np.einsum("sqd,sd->sq", task.queries, teacher),
    )


def run(
    task: RegressionTask, algorithm: Any, *settings: float, counts: Any = STEPS
) -> Observation:
    learner = LinearLearner(algorithm=algorithm, settings=settings, steps=1)
    given = linear_observation(task, np.zeros((6, D)), settings=list(settings))
    context: Any = SimpleNamespace(
        request=SimpleNamespace(regression_task=lambda: task), observe=lambda _: given
    )
    return AlgorithmTrajectory(of=learner, counts=counts).observe(context)


def after(task: RegressionTask, algorithm: Any, steps: int, *given: float) -> Any:
    return linear_observation(task, solve(task, algorithm, steps, given))


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_one_run_is_read_where_as_many_steps_end(algorithm: Any) -> None:
    task, given = tasks(), SETTINGS[algorithm]
    found = run(task, algorithm, *given, counts=(0, 1, 3, 9))
    for place, steps in enumerate((0, 1, 3, 9)):
        wanted = after(task, algorithm, steps, *given).predictions
        np.testing.assert_allclose(found["paths"][..., place], wanted, atol=1e-13)


def test_a_run_that_diverges_is_held_far_away() -> None:
    task = tasks()
    for algorithm, rate in (("gd", 5.0), ("newton", 5.0)):
        paths = run(task, algorithm, rate)["paths"]
        size = np.sqrt(np.mean(task.answers**2))
        assert np.isfinite(paths).all()
        assert np.abs(paths).max() == pytest.approx(DIVERGED * size)


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_layers_of_a_construction_are_its_own_steps(algorithm: Any) -> None:
    task, (rate, *more) = tasks(), SETTINGS[algorithm]
    spec = Construction(
        algorithm=algorithm, n_inputs=D, n_layers=4, rate=rate, shrinkage=sum(more)
    )
    network = LinearAttention(construct(spec))
    first = 0 if algorithm == "newton" else 1  # Newton's first layer writes its start
    layers = [
        regression_observation(task, *network.answer(task, depth=k))
        for k in range(1, 6 - first)
    ]
    found = step_matching(layers, run(task, algorithm, rate, *more))
    assert found.best == found.low == found.high == tuple(range(first, 5))
    assert found.distances[:, first : first + 5].diagonal().max() < 1e-12


def test_newton_steps_are_exactly_exponentially_many_steps_of_gd() -> None:
    # Fu et al. 2023, 2310.17086: GD needs exponentially many steps. Where XᵀX = sI
    # Newton's error is (1 − αs²)^(2^k), and GD's at the rate αs (1 − αs²)^t: t = 2^k.
    task, eigenvalue, start = orthogonal_tasks(2.0), 2.0, 0.02
    layers = [after(task, "newton", k, start) for k in range(8)]
    newton = step_matching(layers, run(task, "newton", start))
    gd = step_matching(layers, run(task, "gd", start * eigenvalue))
    assert newton.best == newton.low == newton.high == tuple(range(8))
    assert gd.best == gd.low == gd.high == tuple(2**k for k in range(8))


def test_newton_is_matched_linearly_by_itself_and_exponentially_by_gd() -> None:
    # The same where eigenvalues differ, so that no algebra gives the numbers
    task = tasks(40)
    largest = max(np.linalg.norm(x, 2) ** 2 for x in task.x)
    layers = [after(task, "newton", k, 1 / largest**2) for k in range(1, 9)]
    newton = step_matching(layers, run(task, "newton", 1 / largest**2))
    gd = step_matching(layers, run(task, "gd", 1 / largest))
    assert newton.best == tuple(range(1, 9))
    assert np.divide(gd.best[1:], gd.best[:-1]).min() >= 1.5  # a step of the counts


def test_an_interval_is_wide_where_sets_disagree() -> None:
    task = tasks()
    early, late = (after(task, "gd", k, 0.1)["predictions"] for k in (2, 16))
    mixed = np.where(np.arange(6)[:, None] < 3, early, late)
    layer = regression_observation(task, mixed, np.zeros_like(task.queries))
    found = step_matching([layer], run(task, "gd", 0.1))
    assert found.low[0] < found.high[0]
    assert found.low[0] <= found.best[0] <= found.high[0]


def test_matching_is_the_same_each_time_and_gives_plain_values() -> None:
    task = tasks()
    layers = [after(task, "gd", k, 0.1) for k in (1, 2)]
    one, again = ({"gd": step_matching(layers, run(task, "gd", 0.1))} for _ in range(2))
    plain = matching_details(one)
    assert plain == matching_details(again)
    assert plain["layers"] == [1, 2]
    assert plain["steps"] == list(STEPS)
    assert [len(row) for row in plain["algorithms"]["gd"]] == [len(STEPS)] * 2
    assert plain["best"]["gd"][1] == {"steps": 2, "low": 2, "high": 2}
    assert matching_remark(one) == "nearest number of steps for each layer: gd 1, 2"


def test_layers_of_other_queries_are_refused() -> None:
    task = tasks()
    other = replace(task, queries=task.queries[:, :2], answers=task.answers[:, :2])
    layer, found = after(other, "gd", 1, 0.1), run(task, "gd", 0.1)
    with pytest.raises(ShapeError, match="at least one layer, and the same sets"):
        step_matching([layer], found)
    with pytest.raises(ShapeError, match="at least one layer"):
        step_matching([], found)


@pytest.mark.parametrize("counts", [(), (-1, 2), (2, 1), (1, 1)])
def test_numbers_of_steps_must_ascend(counts: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="whole numbers from 0 on, ascending"):
        AlgorithmTrajectory(of=LinearLearner(algorithm="gd"), counts=counts)
