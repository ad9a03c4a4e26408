"""Regression algorithms against a loop over tasks, as the published codes have it."""

from __future__ import annotations

from typing import Any

import numpy as np

from probes.cards import LinearTasks
from probes.data.regression_tasks import RegressionTask, draw_tasks
from probes.learners.eigenbasis import solve, weights_after
from tests.benchmarks.quick import least, narrowed
from tests.benchmarks.sides import Table

RATE = 0.02
STEPS = tuple(int(k) for k in np.unique(np.geomspace(1, 200, 34).astype(int)))[:27]


def tasks(n_sets: int) -> RegressionTask:
    return draw_tasks(
        LinearTasks(n_inputs=10),
        n_sets=n_sets,
        n_demonstrations=20,
        n_queries=20,
        seed=0,
    )


def alone(x: Any, y: Any, n_steps: int) -> Any:
    """Take the steps of GD on one task."""
    weights = np.zeros(x.shape[1])
    for _ in range(n_steps):
        weights = weights - RATE * x.T @ (x @ weights - y)
    return weights


def test_gd_of_fifty_steps(table: Table) -> None:
    task = tasks(narrowed(200, 20))
    table.compare(
        "regression, GD of 50 steps, 200 tasks",
        lambda: solve(task, "gd", 50, (RATE,)),
        threads=1,
        peer=(
            "loop over tasks",
            lambda: np.stack(
                [alone(x, y, 50) for x, y in zip(task.x, task.y, strict=True)]
            ),
        ),
        wanted=68.0,
        rounds=least(5),
        dtype="float64",
        counted=False,
    )


def test_the_step_matching_map(table: Table) -> None:
    """Fu et al. 2023: the distance of a learner's predictions to GD of 27 step counts.

    The learner is ridge here; its predictions are given to both sides.
    """
    assert len(STEPS) == 27
    task = tasks(narrowed(200, 10))
    ridge = solve(task, "ridge", 0, (0.1,))
    target = np.einsum("sqd,sd->sq", task.queries, ridge)

    def ours() -> Any:
        weights = weights_after(task, "gd", (RATE,), STEPS)
        gaps = task.queries @ weights
        gaps -= target[..., None]
        return np.einsum("sqk,sqk->k", gaps, gaps) / target.size

    def peer() -> Any:
        distances = []
        for steps in STEPS:
            gaps = []
            for index in range(len(task.x)):
                weights = alone(task.x[index], task.y[index], steps)
                for query, wanted in zip(
                    task.queries[index], target[index], strict=True
                ):
                    gaps.append((query @ weights - wanted) ** 2)
            distances.append(np.mean(gaps))
        return np.array(distances)

    table.compare(
        "regression, step-matching map of 27 settings",
        ours,
        threads=1,
        peer=("loop over tasks", peer),
        wanted=800.0,
        rounds=least(5),
        dtype="float64",
        counted=False,
    )
