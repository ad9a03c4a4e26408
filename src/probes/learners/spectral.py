"""How the regression algorithms run, on each eigendirection of S = XᵀX alone.

One eigendecomposition of a task serves every algorithm, rate and number of steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from probes.measurement import Array
from probes.regression import RegressionTask

Algorithm = Literal["gd", "gdpp", "newton", "newton_scaled", "ridge", "ols"]
Numbers = NDArray[Any]


def solve(
    task: RegressionTask, algorithm: Algorithm, steps: int, settings: tuple[float, ...]
) -> Array:
    """Compute the weights that an algorithm ends with.

    Args:
        task: The tasks.
        algorithm: Which one.
        steps: Iterations; ridge and OLS have none.
        settings: See ``LinearLearner``.

    Returns:
        Weights, shape (n_sets, n_inputs).
    """
    if algorithm == "gd":
        return _gd(task, settings[0], steps)
    values, basis, projected = spectrum(task)
    found = in_eigenbasis(values, projected, algorithm, steps, settings)
    return np.asarray(np.einsum("sde,se->sd", basis, np.real(found)))


def _gd(task: RegressionTask, rate: float, steps: int) -> Array:
    """Take steps of GD from 0: k of them are one affine map, found by doubling."""
    power = np.eye(task.x.shape[-1]) - rate * (task.x.swapaxes(1, 2) @ task.x)
    partial = rate * (task.x.swapaxes(1, 2) @ task.y[..., None])
    weights = np.zeros_like(partial)
    while True:
        if steps % 2:
            weights = partial + power @ weights
        steps //= 2
        if not steps:
            return np.asarray(weights[..., 0])
        partial, power = partial + power @ partial, power @ power


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
        return np.asarray(gd_in_eigenbasis(values, projected, settings, (steps,))[0, 0])
    run = iterate(values, projected, algorithm, settings)
    return next(islice(run, steps, None))


def gd_in_eigenbasis(
    values: Array, projected: Array, rates: Sequence[Any], steps: Sequence[int]
) -> Numbers:
    """Run GD from 0 at every rate for every number of steps, in one pass.

    After k steps of rate c on an eigendirection with eigenvalue s and Xᵀy = m the
    weight is c m Σⱼ (1 − cs)ʲ, j < k. The sum is formed by doubling k: its closed form
    (1 − (1 − cs)ᵏ)/cs cancels where s is small.

    Args:
        values: Eigenvalues, shape (n_sets, n_inputs).
        projected: Xᵀy in the eigenbasis, same shape.
        rates: Also complex, for derivatives by a complex step.
        steps: Numbers of steps, at least 0.

    Returns:
        Weights in the eigenbasis, shape (n_rates, n_steps, n_sets, n_inputs).
    """
    each, left = np.asarray(rates)[:, None, None, None], np.array(steps)
    power = 1 - each * values  # (1 − cs)ⁿ and the sum of the terms below it, n = 1
    partial = each + np.zeros_like(power)
    sums = np.zeros_like(power, shape=(len(each), len(left), *values.shape))
    while left.any():
        odd = (left % 2 == 1)[:, None, None]
        sums = np.where(odd, partial + power * sums, sums)
        partial, power, left = partial + power * partial, power * power, left // 2
    return np.asarray(sums * projected)


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
