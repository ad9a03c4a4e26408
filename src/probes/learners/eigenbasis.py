"""The regression algorithms, run on each eigendirection of S = XᵀX.

One eigendecomposition of a task serves every algorithm, rate and number of steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from probes.data.regression_tasks import RegressionTask
from probes.measurement import Array

Algorithm = Literal["gd", "gdpp", "newton", "newton_scaled", "ridge", "ols"]
ROWS_MULTIPLE = 4
"""Small matrices get a multiple of this many rows: 200 products of 12 by 12 matrices
take 53 µs, of 11 by 11 take 62."""
Numbers = NDArray[Any]


def solve(
    task: RegressionTask, algorithm: Algorithm, steps: int, settings: tuple[float, ...]
) -> Array:
    """Compute the weights that an algorithm ends with.

    Args:
        task: The tasks.
        algorithm: The algorithm.
        steps: Iterations; ridge and OLS have none.
        settings: See ``LinearLearner``.

    Returns:
        Weights, shape (n_sets, n_inputs).
    """
    if algorithm == "gd":
        return _gd(task, settings[0], steps)
    values, basis, projected = spectrum(task)
    weights = in_eigenbasis(values, projected, algorithm, steps, settings)
    return np.asarray(np.einsum("sde,se->sd", basis, np.real(weights)))


def weights_after(
    task: RegressionTask,
    algorithm: Algorithm,
    settings: tuple[float, ...],
    counts: Sequence[int],
) -> Array:
    """Compute the weights of one run of an iterative algorithm after some steps.

    Args:
        task: The tasks.
        algorithm: The algorithm.
        settings: See ``LinearLearner``.
        counts: Numbers of steps, ascending, from 0 on.

    Returns:
        Weights, shape (n_sets, n_inputs, n_counts); not finite where a run diverged.
    """
    if algorithm == "gd":
        return _gd_path(task, settings[0], counts)
    values, basis, projected = spectrum(task)
    run = islice(iterate(values, projected, algorithm, settings), counts[-1] + 1)
    weights = [np.real(w) for step, w in enumerate(run) if step in counts]
    return np.asarray(basis @ np.stack(weights, axis=2))


def _gd(task: RegressionTask, rate: float, steps: int) -> Array:
    """Take k steps of GD from 0, as the k-th power of one step, by squaring."""
    power = _step(task, rate)
    weights = _start(task, power.shape[1])
    while steps:
        if steps % 2:
            weights = power @ weights
        steps //= 2
        power = power @ power if steps else power
    return np.asarray(weights[:, : task.x.shape[2], 0])


def _gd_path(task: RegressionTask, rate: float, counts: Sequence[int]) -> Array:
    """Take several numbers of steps of GD from 0, doubling a step from m to 2m.

    Returns:
        Weights, shape (n_sets, n_inputs, n_counts).
    """
    power, done = _step(task, rate), 1
    every = _with_remainders(counts)
    place = {k: i for i, k in enumerate(every)}
    path = np.empty((*power.shape[:2], len(every)))
    path[..., :1] = _start(task, power.shape[1])
    while True:
        new = [k for k in every if done <= k < 2 * done]
        if new:
            before = path[..., [place[k - done] for k in new]]
            at = slice(place[new[0]], place[new[-1]] + 1)
            np.matmul(power, before, out=path[..., at])
        done *= 2
        if done > every[-1]:
            return path[..., [place[k] for k in counts]][:, : task.x.shape[2]]
        power = power @ power


def _with_remainders(counts: Iterable[int]) -> list[int]:
    """Add the remainders of numbers when their highest bits are removed in turn."""
    numbers = {0}
    for k in counts:
        while k not in numbers:
            numbers.add(k)
            k -= 1 << (k.bit_length() - 1)
    return sorted(numbers)


def _step(task: RegressionTask, rate: float) -> Array:
    """Write a step of GD as a matrix that acts on (w, 1), filled up with zeros.

    Returns:
        Shape (n_sets, n, n), n at least n_inputs + 1 (see ``ROWS_MULTIPLE``).
    """
    n_sets, _, d = task.x.shape
    n = -(-(d + 1) // ROWS_MULTIPLE) * ROWS_MULTIPLE
    step = np.zeros((n_sets, n, n))
    rated = rate * task.x.swapaxes(1, 2)
    step[:, :d, :d] = np.eye(d) - rated @ task.x
    step[:, :d, d : d + 1] = rated @ task.y[..., None]
    step[:, d, d] = 1.0
    return step


def _start(task: RegressionTask, n: int) -> Array:
    """Write w = 0 as (w, 1), filled up with zeros; shape (n_sets, n, 1)."""
    n_sets, _, d = task.x.shape
    start = np.zeros((n_sets, n, 1))
    start[:, d] = 1.0
    return start


def spectrum(task: RegressionTask) -> tuple[Array, Array, Array]:
    """Decompose S = XᵀX of every task.

    Returns:
        Eigenvalues (n_sets, n_inputs), eigenvectors (n_sets, n_inputs, n_inputs) in
        columns, and Xᵀy in that basis (n_sets, n_inputs).
    """
    values, basis = np.linalg.eigh(task.x.swapaxes(1, 2) @ task.x)
    moment = task.y[:, None] @ task.x  # (n_sets, 1, n_inputs)
    return values, basis, (moment @ basis)[:, 0]


def in_eigenbasis(
    values: Array,
    projected: Array,
    algorithm: Algorithm,
    steps: int,
    settings: tuple[Any, ...],
) -> Numbers:
    """Run an algorithm on every eigendirection; shape (n_sets, n_inputs).

    GD++: with s the eigenvalue, v the projected residual and a the query's shrinkage,
    w ← w + c a v, then v ← (1 − γs)(1 − cs)v, a ← (1 − γs)a, s ← s(1 − γs)².
    Settings may be complex, for derivatives by a complex step.
    """
    if algorithm == "ols":
        tiny = values <= 1e-10 * values.max(axis=1, keepdims=True)
        return np.where(tiny, 0.0, projected / np.where(tiny, 1.0, values))
    if algorithm == "ridge":
        return np.asarray(projected / (values + settings[0]))
    if algorithm == "gd":
        return _gd_in_eigenbasis(values, projected, settings[0], steps)
    run = iterate(values, projected, algorithm, settings)
    return next(islice(run, steps, None))


def _gd_in_eigenbasis(
    values: Array, projected: Array, rate: Any, steps: int
) -> Numbers:
    """Run GD from 0 on every eigendirection; shape (n_sets, n_inputs).

    After k steps of rate c on an eigendirection with eigenvalue s and Xᵀy = m the
    weight is c m Σⱼ (1 − cs)ʲ, j < k. The sum is formed by doubling k: its closed form
    (1 − (1 − cs)ᵏ)/cs cancels where s is small.
    """
    power = 1 - rate * values  # (1 − cs)ⁿ and the sum of the terms below it, n = 1
    partial = rate + np.zeros_like(power)
    total = np.zeros_like(power)
    while steps:
        if steps % 2:
            total = partial + power * total
        partial, power, steps = partial + power * partial, power * power, steps // 2
    return np.asarray(total * projected)


def iterate(
    values: Array, projected: Array, algorithm: Algorithm, settings: tuple[Any, ...]
) -> Iterator[Numbers]:
    """Run GD, GD++ or Newton on every eigendirection, without end.

    Newton's start is M_0 = αS, with one α for all tasks, or scaled α/‖S‖², with which
    it converges on every task for α < 2 (Fu et al. 2023, arXiv:2310.17086, have α = 2).

    Yields:
        Weights after 0, 1, 2, … steps, shape (n_sets, n_inputs).
    """
    if algorithm in ("newton", "newton_scaled"):
        inverse = settings[0] * values
        if algorithm == "newton_scaled":
            inverse = inverse / values.max(axis=1, keepdims=True) ** 2
        while True:
            yield np.asarray(inverse * projected)
            inverse = 2 * inverse - inverse**2 * values
    rate, shrinkage = settings if algorithm == "gdpp" else (settings[0], 0.0)
    weights, residual = 0 * projected * rate, projected + 0 * rate
    seen, s = 1.0 + 0 * residual, values + 0 * residual
    while True:
        yield np.asarray(weights)
        weights = weights + rate * seen * residual
        shrink = 1 - shrinkage * s
        residual, seen, s = (
            shrink * (1 - rate * s) * residual,
            shrink * seen,
            s * shrink**2,
        )
