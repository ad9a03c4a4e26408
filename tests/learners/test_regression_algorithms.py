"""Regression: constructions equal their algorithms, and algorithms equal plain loops.

The plain loops are written over demonstrations here, and share no line with the
eigendecomposition of the source.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.cards import Construction, DatasetCard, LinearTasks, ModelCard
from probes.cell import Settings
from probes.data.regression_tasks import RegressionTask, best_one_step_rate, draw_tasks
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import NumericsError, OptionError
from probes.learners.eigenbasis import in_eigenbasis, solve, spectrum
from probes.learners.fitting import fit
from probes.learners.in_context import regression_observation
from probes.learners.regression_algorithms import LinearLearner, linear_observation
from probes.learners.regression_baselines import (
    NearestNeighbours,
    OnePassSGD,
    neighbours,
)
from probes.learners.worst_case import EXAMPLES, WorstCase, _search, disagreement
from probes.measurement import Array
from probes.measures import prediction_distance
from probes.models.regression.construction import NetworkWeights, construct
from probes.models.regression.linear_attention import LinearAttention
from probes.observations.observation import Observation
from probes.observations.request import LearnerContext, Request
from probes.verdicts.exact import tolerance_test

D = 10
RATE, SHRINKAGE, START = 0.06, 0.02, 2 / 30**2
SEEDS = st.integers(0, 2**32 - 1)
MATRICES = ("W_Q", "W_K", "W_V", "P", "skip")
SPECS = {
    "gd_1": Construction(algorithm="gd", n_inputs=D, n_layers=1, rate=RATE),
    "gd_4": Construction(algorithm="gd", n_inputs=D, n_layers=4, rate=RATE),
    "gdpp_4": Construction(
        algorithm="gdpp", n_inputs=D, n_layers=4, rate=RATE, shrinkage=SHRINKAGE
    ),
    "newton_4": Construction(algorithm="newton", n_inputs=D, n_layers=4, rate=START),
}
ALGORITHMS = {
    "gd": (RATE,), "gdpp": (RATE, SHRINKAGE), "newton": (START,), "ridge": (0.3,)
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: handing out such small sums costs more than they do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tasks(seed: int = 0, n: int = 10, **given: Any) -> RegressionTask:
    return draw_tasks(
        LinearTasks(n_inputs=D, **given),
        n_sets=3, n_demonstrations=n, n_queries=5, seed=seed,
    )  # fmt: skip


def gradient_descent(x: Array, y: Array, rate: float, steps: int) -> Array:
    w = np.zeros(x.shape[1])
    for _ in range(steps):
        w = w + rate * sum((y[i] - w @ x[i]) * x[i] for i in range(len(y)))
    return w


def gdpp(
    x: Array, y: Array, query: Array, rate: float, gamma: float, steps: int
) -> float:
    """GD on inputs that every layer maps by x ← (I − γXᵀX)x, von Oswald et al. §3."""
    found = 0.0
    for _ in range(steps):
        update = rate * x.T @ y
        found, y = found + query @ update, y - x @ update
        shrink = np.eye(x.shape[1]) - gamma * x.T @ x
        x, query = x @ shrink, shrink @ query
    return found


def newton(x: Array, y: Array, start: float, steps: int) -> Array:
    """Iterate M ← 2M − MSM from αS, Fu et al. 2023, arXiv:2310.17086."""
    gram = x.T @ x
    inverse = start * gram
    for _ in range(steps):
        inverse = 2 * inverse - inverse @ gram @ inverse
    return np.asarray(inverse @ x.T @ y)


def loops(task: RegressionTask, algorithm: str, steps: int, *given: float) -> Array:
    """Predict by plain loops, shape (n_sets, n_queries)."""
    found = np.empty(task.queries.shape[:2])
    for s, (x, y) in enumerate(zip(task.x, task.y, strict=True)):
        for q, query in enumerate(task.queries[s]):
            if algorithm == "gdpp":
                found[s, q] = gdpp(x, y, query, *given, steps)
            elif algorithm == "gd":
                found[s, q] = query @ gradient_descent(x, y, *given, steps)
            elif algorithm == "newton":
                found[s, q] = query @ newton(x, y, *given, steps)
            else:
                system = x.T @ x + given[0] * np.eye(D)
                found[s, q] = query @ np.linalg.solve(system, x.T @ y)
    return found


def predicted(task: RegressionTask, weights: Array) -> Array:
    return np.einsum("sqd,sd->sq", task.queries, weights)


def network(name: str) -> LinearAttention:
    return LinearAttention(construct(SPECS[name]))


# ------------------------------------------------------------------- tasks and rates


def test_best_rate_of_one_step_is_the_published_one() -> None:
    # CLAIMS.md, reference numbers: η/N = .60606 for N = d = 10 and x ~ U(−½, ½)^d
    found = best_one_step_rate(LinearTasks(n_inputs=10, input_scale=0.5), 10)
    assert found == pytest.approx(0.60606, abs=5e-6)


def test_loss_of_the_best_single_step_is_the_published_one() -> None:
    # CLAIMS.md, reference numbers: ½E(ŷ − y)² = .206229; here 400 blocks of 50 tasks
    half = LinearTasks(n_inputs=10, input_scale=0.5)
    rate = best_one_step_rate(half, 10)
    losses = []
    for seed in range(400):
        task = draw_tasks(half, n_sets=50, n_demonstrations=10, n_queries=50, seed=seed)
        step = predicted(task, rate * np.einsum("snd,sn->sd", task.x, task.y))
        losses.append(np.mean((step - task.answers) ** 2) / 2)
    error = np.std(losses, ddof=1) / math.sqrt(400)
    assert error < 0.002
    assert abs(np.mean(losses) - 0.206229) < 3 * error


@pytest.mark.parametrize("change", [0.9, 1.1])
def test_any_other_rate_of_one_step_loses_more(change: float) -> None:
    half = LinearTasks(n_inputs=10, input_scale=0.5)
    task = draw_tasks(half, n_sets=4000, n_demonstrations=10, n_queries=40, seed=0)
    step = predicted(task, np.einsum("snd,sn->sd", task.x, task.y))
    best, other = (
        np.mean((c * best_one_step_rate(half, 10) * step - task.answers) ** 2)
        for c in (1.0, change)
    )
    assert best < other


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, scale=st.sampled_from([0.1, 1.0, 2.0]))
def test_tasks_are_drawn_as_they_say(seed: int, scale: float) -> None:
    task = tasks(seed, input_scale=scale)
    assert np.abs(task.x).max() <= scale
    assert (task.queries == task.queries[0]).all()  # the same for every set
    again = tasks(seed, input_scale=scale)
    assert (task.y == again.y).all()
    assert not (task.y == tasks(seed + 1, input_scale=scale).y).any()


def test_noise_is_on_the_demonstrations_only() -> None:
    quiet, noisy = tasks(n=2000), tasks(n=2000, noise=0.5)
    assert (quiet.answers == noisy.answers).all()
    assert (noisy.y - quiet.y).std() == pytest.approx(0.5, rel=0.05)


def test_inputs_spread_by_the_condition_number() -> None:
    spread = tasks(n=20_000, condition=5.0).x.std(axis=(0, 1))
    assert spread[0] == pytest.approx(1 / math.sqrt(3), rel=0.02)
    assert spread[0] / spread[-1] == pytest.approx(5.0, rel=0.03)


@pytest.mark.parametrize(
    ("inputs", "mean", "kurtosis"),
    [
        ("uniform", 0.0, 1.8),
        ("normal", 0.0, 3.0),
        ("laplace", 0.0, 6.0),
        ("exponential", 1 / math.sqrt(6), 9.0),
    ],
)
def test_inputs_of_every_kind_are_equally_large(
    inputs: str, mean: float, kurtosis: float
) -> None:
    x = tasks(n=40_000, inputs=inputs, input_scale=0.5).x / 0.5
    assert x.mean() == pytest.approx(mean, abs=0.01)
    assert (x**2).mean() == pytest.approx(1 / 3, rel=0.02)
    centred = (x - x.mean()) / x.std()
    assert (centred**4).mean() == pytest.approx(kurtosis, rel=0.1)
    queries = tasks(inputs=inputs, n=1).queries
    assert (queries.min() >= 0) == (inputs == "exponential")


def test_teachers_are_as_large_as_they_say() -> None:
    small, large = tasks(), tasks(teacher_scale=3.0)
    np.testing.assert_allclose(large.answers, 3 * small.answers)


def test_teachers_gather_around_their_mean() -> None:
    task = draw_tasks(
        LinearTasks(n_inputs=D, teacher_mean=3.0),
        n_sets=500, n_demonstrations=D + 5, n_queries=1, seed=0,
    )  # fmt: skip
    teachers = solve(task, "ols", 1, ())
    assert teachers.mean() == pytest.approx(3.0, abs=4 / math.sqrt(5000))
    assert teachers.std() == pytest.approx(1.0, abs=0.05)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, order=SEEDS)
def test_another_order_keeps_the_pairs_together(seed: int, order: int) -> None:
    task = tasks(seed)
    mixed = task.reordered(order)
    for s in range(3):
        pairs = {(*x, y) for x, y in zip(task.x[s], task.y[s], strict=True)}
        assert pairs == {(*x, y) for x, y in zip(mixed.x[s], mixed.y[s], strict=True)}
    assert (mixed.queries == task.queries).all()


# ------------------------------------------------------------------- constructions


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("n", [1, 5, 10, 20])
def test_construction_is_its_algorithm(name: str, n: int) -> None:
    spec, task = SPECS[name], tasks(3, n)
    expected = loops(task, spec.algorithm, spec.n_layers, *ALGORITHMS[spec.algorithm])
    found, _ = network(name).answer(task)
    assert disagreement(found, expected, task.answers) <= 1e-12


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["gd_4", "gdpp_4"])
def test_each_layer_is_one_step(name: str, depth: int) -> None:
    spec, task = SPECS[name], tasks(4)
    found, _ = network(name).answer(task, depth=depth)
    expected = loops(task, spec.algorithm, depth, *ALGORITHMS[spec.algorithm])
    assert disagreement(found, expected, task.answers) <= 1e-12


@pytest.mark.parametrize("name", ["gd_1", "gd_4"])
def test_construction_with_a_start_is_the_algorithm_from_there(name: str) -> None:
    # CLAIMS.md, prior_mean: a mean of teachers breaks nothing where W_0 carries it
    spec, task = SPECS[name], tasks(3, teacher_mean=2.0)
    start = np.full(D, 2.0)
    rest = replace(task, y=task.y - task.x @ start)
    expected = task.queries @ start + loops(
        rest, spec.algorithm, spec.n_layers, *ALGORITHMS[spec.algorithm]
    )
    model = LinearAttention(construct(replace(spec, start=tuple(start))))
    found, _ = model.answer(task)
    assert disagreement(found, expected, task.answers) <= 1e-12
    plain, _ = network(name).answer(task)
    errors = [np.mean((p - task.answers) ** 2) for p in (found, plain)]
    assert errors[0] < errors[1] / 2


@pytest.mark.parametrize("name", SPECS)
def test_networks_sensitivities_are_finite_differences(name: str) -> None:
    task, model, small = tasks(5), network(name), 1e-4
    _, found = model.answer(task)
    for i in range(D):
        step = small * np.eye(D)[i]
        ahead, _ = model.answer(replace(task, queries=task.queries + step))
        behind, _ = model.answer(replace(task, queries=task.queries - step))
        slope = (ahead - behind) / (2 * small)
        assert found[..., i] == pytest.approx(slope, abs=1e-9)


def test_linear_learners_sensitivities_are_finite_differences() -> None:
    task = tasks(5)
    weights = solve(task, "gd", 3, (RATE,))
    found = linear_observation(task, weights)
    for i in range(D):
        ahead = replace(task, queries=task.queries + np.eye(D)[i])
        slope = linear_observation(ahead, weights).predictions - found.predictions
        assert found.sensitivities[..., i] == pytest.approx(slope, abs=1e-12)


@pytest.mark.parametrize("name", SPECS)
def test_network_reads_no_answer_of_a_query(name: str) -> None:
    task = tasks(6)
    other = replace(task, answers=task.answers + 1)
    assert (network(name).answer(task)[0] == network(name).answer(other)[0]).all()


@pytest.mark.parametrize("name", SPECS)
def test_one_query_is_answered_as_among_others(name: str) -> None:
    task = tasks(6)
    alone = replace(task, queries=task.queries[:, :1], answers=task.answers[:, :1])
    together = network(name).answer(task)[0][:, :1]
    assert network(name).answer(alone)[0] == pytest.approx(together, abs=1e-13)


def spoil(weights: NetworkWeights, name: str, entry: tuple[int, int]) -> NetworkWeights:
    """Add 1e-3 to one entry of one matrix of the first layer."""
    matrix = getattr(weights.layers[0], name).copy()
    matrix[entry] += 1e-3
    first = replace(weights.layers[0], **{name: matrix})
    return replace(weights, layers=(first, *weights.layers[1:]))


def verdict_on(weights: NetworkWeights) -> str:
    task = tasks(7)
    icl = regression_observation(task, *LinearAttention(weights).answer(task))
    weights_of_gd = [
        gradient_descent(x, y, RATE, 1) for x, y in zip(task.x, task.y, strict=True)
    ]
    gd = linear_observation(task, np.array(weights_of_gd))
    return tolerance_test(prediction_distance(icl, gd), tolerance=1e-12).verdict


def test_construction_of_one_step_is_supported() -> None:
    assert verdict_on(construct(SPECS["gd_1"])) == "supported"


@pytest.mark.parametrize(
    ("name", "entry"),
    [("W_V", (D, D)), ("W_V", (0, D)), ("W_V", (9, D)), ("P", (D, D)), ("W_K", (0, 0)),
     ("W_K", (D, 3)), ("W_K", (4, 5)), ("W_Q", (2, 2)), ("W_Q", (9, 0)),
     ("skip", (0, D))],
)  # fmt: skip
def test_construction_with_one_entry_off_is_refuted(
    name: str, entry: tuple[int, int]
) -> None:
    assert verdict_on(spoil(construct(SPECS["gd_1"]), name, entry)) == "refuted"


def test_every_entry_that_can_matter_is_seen_and_no_other() -> None:
    # ŷ = −[(q W_Q)(Σᵢ(eᵢ W_K)ᵀ(eᵢ W_V)) P]_y, with W_Q, W_K the inputs, W_V the answer
    inputs, every, y = range(D), range(D + 1), D
    matter = {("W_Q", i, j) for i in inputs for j in inputs}
    matter |= {("W_K", i, j) for i in every for j in inputs}
    matter |= {("W_V", i, y) for i in every} | {("P", y, y)}
    matter |= {("skip", i, y) for i in inputs}
    weights = construct(SPECS["gd_1"])
    for name in MATRICES:
        for entry in np.ndindex(D + 1, D + 1):
            refuted = verdict_on(spoil(weights, name, entry)) == "refuted"
            assert refuted == ((name, *entry) in matter), (name, entry)


@pytest.mark.parametrize("name", SPECS)
def test_spoiled_copy_differs_in_one_entry_of_its_first_layer(name: str) -> None:
    clean = construct(SPECS[name])
    spoiled = construct(replace(SPECS[name], spoiled_by=1e-3))
    changed = [
        (layer, matrix, tuple(map(int, entry)))
        for layer, (a, b) in enumerate(zip(clean.layers, spoiled.layers, strict=True))
        for matrix in MATRICES
        for entry in np.argwhere(getattr(a, matrix) != getattr(b, matrix))
    ]
    assert changed == [(0, "W_V", (0, D))]


def test_spoiled_copy_is_refuted() -> None:
    spec = replace(SPECS["gd_1"], spoiled_by=1e-3)
    assert verdict_on(construct(spec)) == "refuted"


# ------------------------------------------------------------------- algorithms


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("n", [4, 10, 20])
def test_algorithm_equals_its_plain_loop(algorithm: Any, steps: int, n: int) -> None:
    task = tasks(8, n, noise=0.3)
    found = predicted(task, solve(task, algorithm, steps, ALGORITHMS[algorithm]))
    expected = loops(task, algorithm, steps, *ALGORITHMS[algorithm])
    assert disagreement(found, expected, task.answers) <= 1e-12


@pytest.mark.parametrize("n", [4, 10, 20])
def test_ols_is_the_least_squares_solution_of_least_norm(n: int) -> None:
    task = tasks(9, n, noise=0.3)
    expected = [
        np.linalg.lstsq(x, y, rcond=None)[0]
        for x, y in zip(task.x, task.y, strict=True)
    ]
    assert solve(task, "ols", 1, ()) == pytest.approx(np.array(expected), abs=1e-8)


def test_spectrum_rebuilds_the_gram_matrix() -> None:
    task = tasks(1)
    values, basis, projected = spectrum(task)
    gram = np.einsum("sde,se,sfe->sdf", basis, values, basis)
    assert gram == pytest.approx(np.einsum("snd,sne->sde", task.x, task.x), abs=1e-12)
    moment = np.einsum("sde,se->sd", basis, projected)
    assert moment == pytest.approx(np.einsum("snd,sn->sd", task.x, task.y), abs=1e-12)


@pytest.mark.parametrize("algorithm", ["gd", "gdpp", "newton"])
def test_rate_of_zero_learns_nothing(algorithm: Any) -> None:
    values, _, projected = spectrum(tasks())
    given = (0.0, SHRINKAGE) if algorithm == "gdpp" else (0.0,)
    assert not in_eigenbasis(values, projected, algorithm, 5, given).any()


def test_gdpp_without_shrinkage_is_gd() -> None:
    task = tasks(2)
    with_none, gd = solve(task, "gdpp", 4, (RATE, 0.0)), solve(task, "gd", 4, (RATE,))
    assert with_none == pytest.approx(gd, abs=1e-14)


def test_newton_converges_to_ols() -> None:
    task = tasks(3, 20)
    found = solve(task, "newton", 60, (START,))
    assert found == pytest.approx(solve(task, "ols", 1, ()), abs=1e-9)


def test_gd_converges_to_ols() -> None:
    task = tasks(3, 20)
    found = solve(task, "gd", 20_000, (RATE,))
    assert found == pytest.approx(solve(task, "ols", 1, ()), abs=1e-8)


@pytest.mark.parametrize(("size", "error"), [(1e-3, 1e-1), (1e-6, 1e-4), (1e-9, 1e-7)])
def test_ridge_tends_to_ols_as_its_penalty_vanishes(size: float, error: float) -> None:
    task = tasks(3, 20, noise=0.3)
    ols = solve(task, "ols", 1, ())
    assert solve(task, "ridge", 1, (size,)) == pytest.approx(ols, abs=error)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, order=SEEDS, algorithm=st.sampled_from(sorted(ALGORITHMS)))
def test_permuting_demonstrations_leaves_full_batches_unchanged(
    seed: int, order: int, algorithm: Any
) -> None:
    task = tasks(seed)
    given = ALGORITHMS[algorithm]
    one, other = (
        predicted(t, solve(t, algorithm, 4, given))
        for t in (task, task.reordered(order))
    )
    assert disagreement(one, other, task.answers) <= 1e-13


def asked(learner: Any, **changes: Any) -> Request:
    model = ModelCard(
        name="gd_1", kind="constructed", family="regression", summary="",
        weights=SPECS["gd_1"], language="linear_10", n_layers=1,
    )  # fmt: skip
    data = DatasetCard(
        name="linear", family="regression", summary="", rows=LinearTasks(n_inputs=D)
    )
    request = Request(
        learner=learner, model=model, dataset=data, n_demonstrations=10,
        settings=Settings(n_sets=3, n_queries=5),
    )  # fmt: skip
    return replace(request, **changes)


def answered(learner: Any, **changes: Any) -> Array:
    context: Any = SimpleNamespace(request=asked(learner, **changes))
    return learner.observe(context).predictions


@pytest.mark.parametrize(
    "learner",
    [OnePassSGD(), OnePassSGD(passes=4), OnePassSGD(passes=4, reshuffled=True)],
)
def test_permuting_demonstrations_changes_sgd(learner: OnePassSGD) -> None:
    gaps = [answered(learner) - answered(learner, order=k) for k in (1, 2, 3)]
    assert all(np.abs(gap).max() > 1e-2 for gap in gaps)


def test_one_pass_sgd_is_its_plain_loop() -> None:
    task = asked(OnePassSGD()).regression_task()
    expected = np.zeros((3, 5))
    for s in range(3):
        w = np.zeros(D)
        for x, y in zip(task.x[s], task.y[s], strict=True):
            w = w - 0.2 * (w @ x - y) * x
        expected[s] = task.queries[s] @ w
    assert answered(OnePassSGD(rate=0.2)) == pytest.approx(expected, abs=1e-12)


def test_one_demonstration_makes_sgd_gd() -> None:
    found = answered(OnePassSGD(rate=0.2), n_demonstrations=1)
    task = asked(OnePassSGD(), n_demonstrations=1).regression_task()
    gd = predicted(task, solve(task, "gd", 1, (0.2,)))
    assert found == pytest.approx(gd, abs=1e-13)


def test_a_batch_of_all_demonstrations_makes_sgd_gd_of_their_mean() -> None:
    n = asked(OnePassSGD()).n_demonstrations
    found = answered(OnePassSGD(rate=0.2, batch_size=n))
    task = asked(OnePassSGD()).regression_task()
    gd = predicted(task, solve(task, "gd", 1, (0.2 / n,)))
    assert found == pytest.approx(gd, abs=1e-13)


def test_batches_of_sgd_are_their_plain_loop_the_last_one_shorter() -> None:
    task = asked(OnePassSGD(), n_demonstrations=5).regression_task()
    expected = np.zeros((3, 5))
    for s in range(3):
        w = np.zeros(D)
        for batch in (slice(0, 2), slice(2, 4), slice(4, 5)):
            x, y = task.x[s, batch], task.y[s, batch]
            w = w - 0.2 * x.T @ (x @ w - y) / len(y)
        expected[s] = task.queries[s] @ w
    found = answered(OnePassSGD(rate=0.2, batch_size=2), n_demonstrations=5)
    assert found == pytest.approx(expected, abs=1e-12)


def test_nearest_neighbour_of_a_demonstration_is_itself() -> None:
    request = asked(NearestNeighbours(k=1))
    task = request.regression_task()
    context: Any = SimpleNamespace(
        request=SimpleNamespace(
            regression_task=lambda: replace(task, queries=task.x, answers=task.y)
        )
    )
    assert (NearestNeighbours(k=1).observe(context).predictions == task.y).all()


def test_all_neighbours_together_answer_the_mean() -> None:
    task = asked(NearestNeighbours(k=10)).regression_task()
    expected = np.repeat(task.y.mean(axis=1)[:, None], 5, axis=1)
    assert answered(NearestNeighbours(k=10)) == pytest.approx(expected)


def test_weights_by_distance_are_a_plain_loop() -> None:
    found = answered(NearestNeighbours(k=2, power=1.0))
    task = asked(NearestNeighbours(k=2, power=1.0)).regression_task()
    for s, q in np.ndindex(found.shape):
        far = np.linalg.norm(task.x[s] - task.queries[s, q], axis=1)
        two = np.argsort(far)[:2]
        expected = (task.y[s, two] / far[two]).sum() / (1 / far[two]).sum()
        assert found[s, q] == pytest.approx(expected)


def test_a_demonstration_of_the_query_leaves_other_neighbours_no_weight() -> None:
    task = asked(NearestNeighbours()).regression_task()
    repeated = replace(task, queries=task.x, answers=task.y)
    expected = np.broadcast_to(task.y[..., None], (3, 10, 10))
    assert neighbours(repeated, 1.0) == pytest.approx(expected)


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_fitted_neighbours_have_the_number_and_the_weights_of_those_they_imitate(
    power: float,
) -> None:
    asked_of = NearestNeighbours(k="fitted", power="fitted")
    request = asked(asked_of)

    def answer(made: Request) -> Observation:
        task = made.regression_task()
        imitated = neighbours(task, power)[..., 2]
        return Observation(arrays={"predictions": imitated, "answers": imitated})

    context = LearnerContext(request=request, load=lambda card: None, answer=answer)
    assert asked_of.observe(context).facts["settings"] == [3, power]


# ------------------------------------------------------------------- fitting, hunting


@pytest.mark.parametrize("name", SPECS)
def test_fitting_recovers_the_settings_of_a_construction(name: str) -> None:
    spec, task = SPECS[name], tasks(11)
    target, _ = network(name).answer(task)
    found = fit(task, target, spec.algorithm, spec.n_layers)
    assert found == pytest.approx(ALGORITHMS[spec.algorithm], rel=1e-10)


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS, rate=st.floats(0.005, 0.08), steps=st.integers(1, 4))
def test_fitting_recovers_any_rate_of_gd(seed: int, rate: float, steps: int) -> None:
    task = tasks(seed)
    target = loops(task, "gd", steps, rate)
    assert fit(task, target, "gd", steps)[0] == pytest.approx(rate, rel=1e-8)


def test_fitting_finds_no_better_neighbour() -> None:
    task = tasks(12, noise=0.5)
    (best,) = fit(task, task.answers, "gd", 2)
    losses = [
        np.sum((predicted(task, solve(task, "gd", 2, (c * best,))) - task.answers) ** 2)
        for c in (0.99, 1.0, 1.01)
    ]
    assert losses[1] < min(losses[0], losses[2])


@pytest.mark.parametrize("algorithm", ["gd", "gdpp", "newton", "newton_scaled"])
def test_fitting_to_the_opposite_keeps_the_rate_positive(algorithm: Any) -> None:
    task = tasks(13)
    target = -loops(task, "gd", 2, RATE)
    assert fit(task, target, algorithm, 2)[0] > 0


def test_fitting_beyond_ols_keeps_the_penalty_positive() -> None:
    task = tasks(13, 20)
    beyond = 1.3 * predicted(task, solve(task, "ols", 1, ()))
    (penalty,) = fit(task, beyond, "ridge", 1)
    assert 0 < penalty < 1e-6


def test_fitting_to_no_number_is_refused() -> None:
    target = np.full((3, 5), math.nan)
    with pytest.raises(NumericsError, match="No setting of gd with 2 steps gives"):
        fit(tasks(), target, "gd", 2)


@pytest.mark.parametrize(
    ("algorithm", "given"), [("gd", ()), ("gdpp", (0.1,)), ("ols", (0.1,))]
)
def test_wrong_number_of_settings_is_refused(
    algorithm: Any, given: tuple[float, ...]
) -> None:
    with pytest.raises(OptionError, match=rf"settings of {algorithm} are"):
        LinearLearner(algorithm=algorithm, settings=given)


def hunted(spec: Construction, folder: Path) -> Any:
    learner = WorstCase(against=LinearLearner(algorithm="gd", settings=(RATE,)))
    request = asked(learner)
    request = replace(request, model=replace(request.model, weights=spec))
    return Observer(Store(folder)).observe(request)


def worst_of(found: Any) -> float:
    return disagreement(*(found[name] for name in ("ours", "theirs", "answers")))


def test_hunt_finds_nothing_against_the_construction(tmp_path: Path) -> None:
    assert worst_of(hunted(SPECS["gd_1"], tmp_path)) <= 1e-12


def test_hunt_finds_the_task_that_shows_a_spoiled_copy(tmp_path: Path) -> None:
    found = hunted(replace(SPECS["gd_1"], spoiled_by=1e-9), tmp_path)
    assert worst_of(found) > 1e-12
    assert "n_demonstrations=" in found.facts["counterexample"]


def tasks_tried() -> list[bytes]:
    tried: list[bytes] = []

    def answer(task: RegressionTask) -> tuple[Array, Array]:
        tried.append(task.x.tobytes() + task.y.tobytes())
        return task.answers, task.answers * (1 + 1e-13)

    _search(answer, D, tolerance=1e-12, longest=24)
    return tried


def test_hunt_tries_the_same_tasks_whatever_modules_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hypothesis draws integers from the constants in modules that are loaded."""
    before = tasks_tried()
    text = f"numbers = {[*range(25), *range(10**6, 10**6 + 75)]}"
    (tmp_path / "full_of_constants.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("full_of_constants")
    again = tasks_tried()
    monkeypatch.delitem(sys.modules, "full_of_constants")
    assert len(before) >= EXAMPLES
    assert again == before
