"""Results of the papers that hold of algorithms, whatever network is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from claims.test_construction import CLOSE
from probes.cards import LinearTasks
from probes.cell import Settings
from probes.data.regression_tasks import RegressionTask, best_one_step_rate, draw_tasks
from probes.learners.eigenbasis import Algorithm, solve
from probes.learners.fitting import fit
from probes.learners.in_context import regression_observation
from probes.learners.regression_algorithms import linear_observation
from probes.learners.regression_baselines import OnePassSGD
from probes.measurement import Array
from probes.measures import squared_distance
from probes.models.model_cache import ModelCache
from probes.run.grid import model_named


def tasks(n: int = 20, seed: int = 0, d: int = 10, **given: Any) -> RegressionTask:
    return draw_tasks(
        LinearTasks(n_inputs=d, **given),
        n_sets=40,
        n_demonstrations=n,
        n_queries=10,
        seed=seed,
    )


def predict(
    task: RegressionTask, algorithm: Algorithm, steps: int = 1, *settings: float
) -> Array:
    return linear_observation(task, solve(task, algorithm, steps, settings)).predictions


def network(name: str) -> Any:
    return ModelCache().get(model_named(name), Settings())


# ------------------------------------------------------------------- one step


def test_loss_of_the_best_single_step_is_the_published_one_in_closed_form() -> None:
    # CLAIMS.md, reference numbers: ½E(ŷ − y)² = .206229 for N = d = 10, x ~ U(−½, ½)^d.
    # With E yŷ = cNdσ⁴ and c the best, ½E(ŷ − y)² = ½(E y² − E yŷ) = ½dσ²(1 − cNσ²).
    rate, variance = best_one_step_rate(LinearTasks(input_scale=0.5), 10), 1 / 12
    loss = 10 * variance * (1 - rate * 10 * variance) / 2
    assert loss == pytest.approx(0.206229, abs=5e-7)


@pytest.mark.parametrize("scale", [0.5, 2.0, 3.0])
def test_a_fixed_step_scales_with_the_square_of_the_inputs_and_ols_does_not(
    scale: float,
) -> None:
    # Zhang, Frei, Bartlett 2023, 2306.09927: ŷ = xᵀ Γ⁻¹ Σ xᵢyᵢ/N, whatever Γ is
    task = tasks()
    scaled = replace(task, x=scale * task.x, queries=scale * task.queries)
    moment = np.einsum("snd,sn->sd", task.x, task.y)
    precondition = np.diag(np.linspace(0.5, 2.0, 10))
    for t, wanted in ((task, 1.0), (scaled, scale**2)):
        step = np.einsum("snd,sn->sd", t.x, t.y) @ precondition
        found = np.einsum("sqd,sd->sq", t.queries, step)
        base = np.einsum("sqd,sd->sq", task.queries, moment @ precondition)
        np.testing.assert_allclose(found, wanted * base, atol=1e-12)
    ours = network("constructed_gd_1")
    ratio = ours.answer(scaled)[0] / ours.answer(task)[0]
    np.testing.assert_allclose(ratio, scale**2, rtol=1e-10)
    ols = predict(scaled, "ols"), predict(task, "ols")
    np.testing.assert_allclose(*ols, atol=1e-9)


def test_the_learned_layer_scales_as_a_fixed_step_and_softmax_does_not() -> None:
    # Zhang et al. §4: a trained layer is one preconditioned step; a deep network is not
    def growth(name: str, task: RegressionTask) -> float:
        scaled = replace(task, x=0.5 * task.x, queries=0.5 * task.queries)
        before, after = (network(name).answer(t)[0] for t in (task, scaled))
        return float((before * after).sum() / (before**2).sum())

    assert growth("learned_lsa_1", tasks(10)) == pytest.approx(0.25, rel=0.02)
    assert growth("learned_softmax", tasks(10, d=5)) > 0.6


# ------------------------------------------------------------------- noise


def posterior_mean(task: RegressionTask, noise: float) -> Array:
    """Condition the Gaussian of (y, answer) on y, with no weights in between."""
    found = np.empty(task.answers.shape)
    for s, (x, y) in enumerate(zip(task.x, task.y, strict=True)):
        covariance = x @ x.T + noise**2 * np.eye(len(y))
        found[s] = task.queries[s] @ x.T @ np.linalg.inv(covariance) @ y
    return found


@pytest.mark.parametrize("n", [5, 10, 20])
@pytest.mark.parametrize("noise", [0.25, 0.5, 1.0])
def test_with_noise_the_nearest_to_bayes_is_the_ridge_of_the_right_strength(
    n: int, noise: float
) -> None:
    # Akyürek et al. 2022, 2211.15661, §4: the ridge whose penalty is σ²/τ², here σ²
    task = tasks(n, noise=noise)
    bayes = regression_observation(
        task, posterior_mean(task, noise), np.zeros_like(task.queries)
    )
    strengths = noise**2 * np.array([0.25, 0.5, 1.0, 2.0, 4.0])
    distances = [
        squared_distance(
            bayes, linear_observation(task, solve(task, "ridge", 1, (strength,)))
        ).mean
        for strength in strengths
    ]
    assert np.argmin(distances) == 2
    assert distances[2] < 1e-20
    assert fit(task, bayes.predictions, "ridge", 1)[0] == pytest.approx(noise**2)
    assert np.mean((predict(task, "ols") - bayes.predictions) ** 2) > 1e-4


def test_the_ridge_of_the_right_strength_errs_least() -> None:
    task = tasks(10, noise=0.5)
    errors = [
        np.mean((predict(task, "ridge", 1, strength) - task.answers) ** 2)
        for strength in (0.0625, 0.25, 1.0)
    ]
    assert np.argmin(errors) == 1


# ------------------------------------------------------------------- similar errors


def errors_over_prefixes(algorithm: Algorithm, *settings: float) -> Array:
    """Err on every point after those before it, as Fu et al. compare algorithms.

    Returns:
        Shape (n_sets, n_prefixes); 20 inputs from a Gaussian, 40 points, no noise.
    """
    rng = np.random.default_rng(0)
    x, teachers = rng.normal(size=(64, 41, 20)), rng.normal(size=(64, 20))
    y = np.einsum("snd,sd->sn", x, teachers)
    found = [-y[:, 0]]
    for i in range(1, 41):
        task = RegressionTask(
            x=x[:, :i], y=y[:, :i], queries=x[:, i : i + 1], answers=y[:, i : i + 1]
        )
        steps, given = (int(settings[0]), settings[1:]) if settings else (1, ())
        found.append(predict(task, algorithm, steps, *given)[:, 0] - y[:, i])
    return np.stack(found, axis=1)


def cosine(a: Array, b: Array) -> float:
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / norms).mean())


def test_errors_of_the_wrong_algorithm_are_similar_too() -> None:
    # Fu et al. 2023, 2310.17086: the cosine of errors is above .95 for GD too
    ols = errors_over_prefixes("ols")
    gd = errors_over_prefixes("gd", 100, 0.01)
    assert cosine(ols, gd) > 0.95
    apart = np.mean((ols - gd) ** 2) / 20  # in units of the answers' variance
    assert apart > CLOSE**2  # which the claims refute


# ------------------------------------------------------------------- order


def ordered(task: RegressionTask, learner: Any) -> list[Array]:
    return [learner(t) for t in (task, task.reordered(1))]


def sgd(task: RegressionTask) -> Array:
    weights = OnePassSGD()._weights(task, 0.1, 0)
    return np.einsum("sqd,sd->sq", task.queries, weights)


def test_an_algorithm_that_is_icl_differs_between_orders_as_icl_does() -> None:
    # Shen et al. 2024, Theorem 1: M(a(S)∘x) − M(b(S)∘x) is the algorithm's difference
    task = tasks(10)
    one, other = ordered(task, sgd)
    gd, gd_other = ordered(task, lambda t: predict(t, "gd", 1, 0.05))
    ours, ours_other = ordered(task, lambda t: network("constructed_gd_1").answer(t)[0])
    np.testing.assert_allclose(ours - ours_other, gd - gd_other, atol=1e-13)
    assert np.abs((one - other) - (gd - gd_other)).max() > 0.1


def test_a_difference_between_orders_excludes_every_algorithm_that_has_none() -> None:
    # and by the same theorem nothing but order-stable algorithms is excluded
    task = tasks(5, d=5)
    one, other = ordered(task, lambda t: network("learned_softmax").answer(t)[0])
    assert np.abs(one - other).max() > 0.1
    full: tuple[tuple[Algorithm, int, tuple[float, ...]], ...] = (
        ("gd", 8, (0.05,)), ("gdpp", 8, (0.05, 0.01)), ("newton", 8, (0.01,)),
        ("ridge", 1, (0.1,)),
    )  # fmt: skip
    for algorithm, steps, given in full:
        stable = ordered(task, lambda t, a=(algorithm, steps, *given): predict(t, *a))
        np.testing.assert_allclose(*stable, atol=1e-12)
