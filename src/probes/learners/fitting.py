"""Settings with which an algorithm comes nearest to another learner's predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from probes.data.regression_tasks import RegressionTask
from probes.errors import NumericsError
from probes.learners.eigenbasis import Algorithm, Numbers, in_eigenbasis, spectrum
from probes.measurement import Array

CONVERGED = 1e-12
"""Relative move at which fitting stops. If the target is met exactly, the error is the
square of the last move; otherwise more digits mean nothing."""
Predict = Callable[[tuple[Any, ...]], Numbers]
Loss = Callable[[tuple[float, ...]], float]


def fit(
    task: RegressionTask, target: Array, algorithm: Algorithm, steps: int
) -> tuple[float, ...]:
    """Choose the settings whose predictions come nearest to a target.

    Scans a grid, then polishes the best point by Gauss–Newton, so that a network that
    does the algorithm exactly is recovered to machine precision. Rates and penalties
    stay positive: with negative ones GD would climb, and ridge be singular somewhere.

    Raises:
        NumericsError: No setting of the grid gives finite predictions.
    """
    values, basis, projected = spectrum(task)
    queries = np.einsum("sqd,sde->sqe", task.queries, basis)

    def predict(settings: tuple[Any, ...]) -> Numbers:
        weights = in_eigenbasis(values, projected, algorithm, steps, settings)
        return np.asarray(np.einsum("sqe,se->sq", queries, weights)).ravel()

    loss = _loss_of(predict, target.ravel())
    start = min(_grid(algorithm, float(values.max())), key=loss)
    if not np.isfinite(loss(start)):
        raise NumericsError(
            f"No setting of {algorithm} with {steps} steps gives finite predictions on "
            f"calibration tasks with eigenvalues up to {values.max():.3g}. Expected "
            f"tasks of ordinary scale. Pass a dataset with a smaller input scale."
        )
    polished = _polish(predict, loss, target.ravel(), start)
    return polished if polished[0] > 0 else start


def _grid(algorithm: Algorithm, largest: float) -> list[tuple[float, ...]]:
    rates = [2.0 / largest * 10 ** (-k / 12) for k in range(40)]
    if algorithm == "newton":
        return [(2.0 / largest**2 * 10 ** (-k / 12),) for k in range(40)]
    if algorithm == "newton_scaled":
        return [(2.0 * 10 ** (-k / 12),) for k in range(40)]
    if algorithm == "ridge":
        return [(largest * 10 ** (-k / 6),) for k in range(60)]
    if algorithm == "gdpp":
        return [(r, g) for r in rates[::2] for g in (0.0, *rates[::4])]
    return [(rate,) for rate in rates]


def fit_alone(predict: Predict, target: Array, largest: float) -> float:
    """Choose a single rate, for steps that are stable below 2/largest, the same way.

    Args:
        predict: From a tuple of one rate, which may be complex, to predictions.
        target: The predictions to reproduce.
        largest: The largest curvature of any step.
    """
    loss = _loss_of(predict, target)
    start = min(_grid("gd", largest), key=loss)
    polished = _polish(predict, loss, target, start)
    return polished[0] if polished[0] > 0 else start[0]


def _loss_of(predict: Predict, target: Array) -> Loss:
    def loss(settings: tuple[float, ...]) -> float:
        with np.errstate(all="ignore"):
            error = float(np.sum((np.real(predict(settings)) - target) ** 2))
        return error if np.isfinite(error) else np.inf

    return loss


def _polish(
    predict: Predict,
    loss: Loss,
    target: Array,
    start: tuple[float, ...],
) -> tuple[float, ...]:
    """Move settings by Gauss–Newton, with derivatives by a complex step."""
    best = np.array(start)
    for _ in range(60):
        with np.errstate(all="ignore"):
            steps = [best + 1e-30j * row for row in np.eye(best.size)]
            jacobian = np.stack(
                [np.imag(predict(tuple(s))) / 1e-30 for s in steps], axis=1
            )
            error = target - np.real(predict(tuple(best)))
        move = np.linalg.lstsq(jacobian, error, rcond=None)[0]
        scale = 1.0
        while scale > 1e-6 and not loss(tuple(best + scale * move)) <= loss(
            tuple(best)
        ):
            scale /= 2
        if scale <= 1e-6:
            break
        best = best + scale * move
        if np.all(np.abs(scale * move) <= CONVERGED * np.abs(best)):
            break
    return tuple(float(v) for v in best)
