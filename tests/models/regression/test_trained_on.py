"""Networks that were trained on few teachers, noise, unequal variances or a mean.

Each is what its training should make of it. Errors and squared distances are in units
of the answers' variance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import probes_fixtures.models  # noqa: F401 - fills the registry
import pytest
import torch
from probes_fixtures.training.measure_learned import Numbers, fresh, mean
from probes_fixtures.training.measure_priors import (
    answers_after,
    fitted,
    one_steps,
    squared,
)

from probes.cards import LinearTasks
from probes.cell import Settings
from probes.data.regression_tasks import (
    TRAINED_POOL,
    RegressionTask,
    draw_tasks,
    teacher_pool,
)
from probes.models.model_cache import ModelCache
from probes.run.grid import model_named

N_TASKS = 2000
FEW, MANY = (2, 8, 64), (4096,)
CLOSE = 0.05  # the distance that does not matter in claims/


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: handing out such small sums costs more than they do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def home_of(name: str) -> LinearTasks:
    home = model_named(name).trained_on
    assert home is not None
    return home


# ------------------------------------------------------------------- teachers


def test_a_larger_pool_begins_with_a_smaller_one() -> None:
    tasks = LinearTasks(n_inputs=3)
    small, large = (teacher_pool(tasks, n, seed=TRAINED_POOL) for n in (2, 8))
    assert (large[:2] == small).all()


def test_tasks_that_share_teachers_have_no_others() -> None:
    tasks = LinearTasks(n_inputs=3, n_teachers=4)
    drawn = draw_tasks(tasks, n_sets=200, n_demonstrations=3, n_queries=1, seed=0)
    found = np.linalg.solve(drawn.x, drawn.y[..., None])[..., 0]
    pool = teacher_pool(tasks, 4, seed=TRAINED_POOL)
    gaps = np.abs(found[:, None] - pool).max(axis=-1)
    assert gaps.min(axis=1).max() < 1e-8
    assert set(gaps.argmin(axis=1)) == {0, 1, 2, 3}


def test_rivals_have_other_teachers_than_networks() -> None:
    tasks = LinearTasks(n_inputs=3)
    own, rivals = (teacher_pool(tasks, 8, seed=s) for s in (TRAINED_POOL, 0))
    assert not (own == rivals).any()


# ------------------------------------------------------------------- few teachers


@lru_cache
def gaps(name: str, n: int, *, is_known: bool) -> dict[str, Numbers]:
    """Measure errors by name, and "to A": the network's distance to an algorithm A."""
    home = home_of(name.removeprefix("untrained:"))
    card = replace(model_named(name), weights=model_named(name).weights)
    tasks = home if is_known else replace(home, n_teachers=0)
    task, answers = answers_after(card, tasks, n, N_TASKS, use="judge")
    ours = answers["network"]
    errors = {who: mean(squared(task, p, task.answers)) for who, p in answers.items()}
    apart = {f"to {who}": mean(squared(task, ours, p)) for who, p in answers.items()}
    return {**errors, **apart}


def is_less(ours: Numbers, theirs: Numbers) -> bool:
    """Say whether a mean is clearly less, by three standard errors of either."""
    return ours[0] + 3 * ours[1] < theirs[0] - 3 * theirs[1]


@pytest.mark.parametrize("n_teachers", FEW)
@pytest.mark.parametrize("n", [5, 10])
def test_network_of_few_teachers_is_nearer_to_dmmse(n_teachers: int, n: int) -> None:
    found = gaps(f"learned_softmax_m{n_teachers}", n, is_known=False)
    assert is_less(found["to dMMSE"], found["to ridge"])


@pytest.mark.parametrize("n_teachers", FEW)
def test_network_of_few_teachers_beats_ridge_on_its_own(n_teachers: int) -> None:
    found = gaps(f"learned_softmax_m{n_teachers}", 5, is_known=True)
    assert is_less(found["network"], found["ridge"])


@pytest.mark.parametrize("n_teachers", MANY)
@pytest.mark.parametrize("n", [5, 10])
def test_network_of_many_teachers_is_nearer_to_ridge(n_teachers: int, n: int) -> None:
    found = gaps(f"learned_softmax_m{n_teachers}", n, is_known=False)
    assert is_less(found["to ridge"], found["to dMMSE"])
    assert found["to dMMSE"][0] > found["dMMSE"][0] / 4  # they are two algorithms


@pytest.mark.parametrize("n", [2, 5, 10])
def test_network_of_noisy_tasks_is_ridge_of_the_right_lambda(n: int) -> None:
    home = home_of("learned_softmax_noisy")
    card = model_named("learned_softmax_noisy")
    task, answers = answers_after(card, home, n, N_TASKS, use="judge")
    excess = squared(task, answers["network"], answers["ridge"])
    average, error = mean(excess)
    assert average + 3 * error < CLOSE


# ------------------------------------------------------------------- one layer


def judged_layer(name: str) -> tuple[RegressionTask, Any, dict[str, Any]]:
    """Answer fresh tasks by a layer, and by algorithms fitted to it on other tasks."""
    home = home_of("learned_lsa_1_skewed" if "skewed" in name else name)
    network: Any = ModelCache().get(model_named(name), Settings())
    tuning, task = (fresh(home, 10, N_TASKS, use=use) for use in ("tune", "judge"))
    imitated, judged = network.answer(tuning)[0], one_steps(task, home, 10)
    parts = one_steps(tuning, home, 10)
    answers = {who: judged[who] @ fitted(parts[who], imitated) for who in parts}
    return task, network.answer(task)[0], answers


def distance(task: RegressionTask, ours: Any, theirs: Any) -> Numbers:
    """Measure |a − b| over the root mean square of the answers."""
    return mean(np.abs(ours - theirs) / np.sqrt(np.mean(task.answers**2)))
