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
from probes_fixtures.training.measure_learned import (
    Numbers,
    fresh,
    mean,
    predicted,
)
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
    draw_tasks,
    teacher_pool,
)
from probes.learners.eigenbasis import solve
from probes.models.model_cache import ModelCache
from probes.run.grid import model_named

N_TASKS = 2000
CLOSE = 0.05  # the distance that does not matter in claims/
NEAR = 0.05  # of squares, as for learned_softmax and OLS


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
def measured(name: str, n: int, *, is_known: bool) -> dict[str, Numbers]:
    """Measure errors by name, and "to A": the network's distance to an algorithm A.

    Args:
        name: A network, perhaps untrained.
        n: Demonstrations.
        is_known: Whether the teachers are those of its training, and not new ones.
    """
    home = home_of(name.removeprefix("untrained:"))
    tasks = home if is_known else replace(home, n_teachers=0)
    task, answers = answers_after(model_named(name), tasks, n, N_TASKS, use="judge")
    ours = answers["network"]
    errors = {who: mean(squared(task, p, task.answers)) for who, p in answers.items()}
    apart = {f"to {who}": mean(squared(task, ours, p)) for who, p in answers.items()}
    return {**errors, **apart}


def is_less(ours: Numbers, theirs: Numbers) -> bool:
    """Say whether a mean is clearly less: three standard errors of either apart."""
    return ours[0] + 3 * ours[1] < theirs[0] - 3 * theirs[1]


def of(n_teachers: int) -> str:
    return f"learned_softmax_m{n_teachers}"


# Raventós et al. 2023: below some M, a network is dMMSE; above it, it is ridge. What M
# that is, we had to see: before training, we expected the network of 64 teachers to be
# clearly better than ridge on these, and those of 512 and 4096 to differ. They are not,
# and do not. That those of 64 and 512 are nearer to ridge, and those of 512 and 4096
# near it, was added when results were known. The rest was written down before.
@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("n", [5, 10])
@pytest.mark.parametrize("n_teachers", [2, 8])
def test_network_of_few_teachers_is_nearer_to_dmmse(
    n_teachers: int, n: int, is_known: bool
) -> None:
    found = measured(of(n_teachers), n, is_known=is_known)
    assert is_less(found["to dMMSE"], found["to ridge"])


@pytest.mark.parametrize("n", [5, 10])
@pytest.mark.parametrize("n_teachers", [2, 8])
def test_network_of_few_teachers_is_near_dmmse_on_its_own(
    n_teachers: int, n: int
) -> None:
    average, error = measured(of(n_teachers), n, is_known=True)["to dMMSE"]
    assert average + 3 * error < NEAR


@pytest.mark.parametrize("n_teachers", [2, 8])
def test_network_of_few_teachers_beats_ridge_on_its_own(n_teachers: int) -> None:
    found = measured(of(n_teachers), 5, is_known=True)
    assert is_less(found["network"], found["ridge"])


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("n", [5, 10])
@pytest.mark.parametrize("n_teachers", [64, 512, 4096])
def test_network_of_many_teachers_is_nearer_to_ridge(
    n_teachers: int, n: int, is_known: bool
) -> None:
    found = measured(of(n_teachers), n, is_known=is_known)
    assert is_less(found["to ridge"], found["to dMMSE"])


@pytest.mark.parametrize("n", [5, 10])
@pytest.mark.parametrize(("fewer", "more"), [(2, 8), (8, 64), (64, 512)])
def test_more_teachers_bring_a_network_nearer_to_ridge_on_new_ones(
    fewer: int, more: int, n: int
) -> None:
    far, near = (measured(of(m), n, is_known=False)["to ridge"] for m in (fewer, more))
    assert is_less(near, far)


@pytest.mark.parametrize("n", [2, 5, 10])
@pytest.mark.parametrize("name", [of(512), of(4096), "learned_softmax_noisy"])
def test_network_of_many_noisy_tasks_is_near_ridge(name: str, n: int) -> None:
    average, error = measured(name, n, is_known=False)["to ridge"]
    assert average + 3 * error < NEAR


def test_ridge_of_another_penalty_is_further_off() -> None:
    name = "learned_softmax_noisy"
    task, answers = answers_after(model_named(name), home_of(name), 5, N_TASKS, use="λ")
    right = squared(task, answers["network"], answers["ridge"])
    for factor in (0.1, 10.0):
        weights = solve(task, "ridge", 1, (factor * home_of(name).noise ** 2,))
        wrong = squared(task, answers["network"], predicted(task, weights))
        gain, error = mean(wrong - right)
        assert gain - 3 * error > 0


# ------------------------------------------------------------------- one layer


def distances(name: str) -> dict[str, Numbers]:
    """Measure |ŷ − ŷ_A| over the answers' size, for algorithms A fitted elsewhere."""
    home = home_of(name.removeprefix("untrained:"))
    network: Any = ModelCache().get(model_named(name), Settings())
    tuning, task = (fresh(home, 10, N_TASKS, use=use) for use in ("tune", "judge"))
    ours, imitated = network.answer(task)[0], network.answer(tuning)[0]
    judged, size = one_steps(task, home, 10), np.sqrt(np.mean(task.answers**2))
    return {
        algorithm: mean(
            np.abs(ours - judged[algorithm] @ fitted(parts, imitated)) / size
        )
        for algorithm, parts in one_steps(tuning, home, 10).items()
    }


def test_layer_of_unequal_variances_is_preconditioned_gd_and_not_gd() -> None:
    found = distances("learned_lsa_1_skewed")
    assert is_less(found["preconditioned GD"], (CLOSE, 0.0))
    assert is_less((2 * CLOSE, 0.0), found["GD"])


def test_layer_of_shifted_teachers_is_not_gd_from_zero() -> None:
    found = distances("learned_lsa_1_shifted")
    assert is_less((CLOSE, 0.0), found["GD"])
    assert is_less(found["GD from the mean"], found["GD"])
