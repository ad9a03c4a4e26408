"""The regression algorithms, batched: GD, GD++, Newton, ridge, OLS, SGD, neighbours.

All but neighbours predict ŷ = w·x. The iterative ones act on each eigendirection of
S = XᵀX alone, so one eigendecomposition serves every rate and step count. Rates are on
the sum of squares ½Σ(w·xᵢ − yᵢ)²: the papers' η/N.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from probes.errors import NumericsError, OptionError
from probes.learners.in_context import InContext, regression_observation
from probes.measurement import Array
from probes.observation import Observation
from probes.regression import RegressionTask
from probes.tasks import LinearTasks

if TYPE_CHECKING:
    from probes.engine.observer import Scene

Algorithm = Literal["gd", "gdpp", "newton", "ridge", "ols"]
SETTINGS = {"gd": 1, "gdpp": 2, "newton": 1, "ridge": 1, "ols": 0}
Numbers = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class LinearLearner:
    """An algorithm that ends in a linear predictor.

    Attributes:
        algorithm: "gd", "gdpp", "newton", "ridge" or "ols".
        steps: Iterations; None takes as many as the network has layers.
        settings: gd: (rate,); gdpp: (rate, γ); newton: (start scale,); ridge: (λ,).
            None takes what the network declares for the algorithm, and otherwise what
            comes nearest to ICL on calibration tasks, which no verdict sees.
        fitted_on: The distribution of the calibration tasks; None: the cell's own.
        fitted_steps: Iterations with which settings are declared or fitted, so that
            fewer steps are a part of the same run; None: ``steps``.
    """

    algorithm: Algorithm
    steps: int | None = None
    settings: tuple[float, ...] | None = None
    fitted_on: LinearTasks | None = None
    fitted_steps: int | None = None
    needs_model: bool = True

    def __post_init__(self) -> None:
        wanted = SETTINGS[self.algorithm]
        if self.settings is not None and len(self.settings) != wanted:
            raise OptionError(
                f"{self.algorithm} was given the settings {self.settings}. Expected "
                f"{wanted} numbers. See LinearLearner.settings."
            )

    def observe(self, scene: Scene) -> Observation:
        """Solve every task of the scene at once.

        Raises:
            NumericsError: No setting gives finite predictions on calibration tasks.
        """
        steps = scene.request.model.n_layers if self.steps is None else self.steps
        assert steps is not None
        settings = self._settings(scene, self.fitted_steps or steps)
        task = scene.request.regression_task()
        weights = solve(task, self.algorithm, steps, settings)
        return linear_observation(task, weights, settings=list(settings), steps=steps)

    def _settings(self, scene: Scene, steps: int) -> tuple[float, ...]:
        if self.algorithm == "ols":
            return ()
        if self.settings is not None:
            return self.settings
        declared = scene.request.model.settings_for(self.algorithm)
        if declared is not None and steps == scene.request.model.n_layers:
            return declared
        request = replace(scene.request, queries="calibration", order=0)
        if self.fitted_on is not None:
            dataset = replace(request.dataset, rows=self.fitted_on)
            request = replace(request, dataset=dataset)
        icl = scene.observer.observe(replace(request, learner=InContext()))
        return fit(request.regression_task(), icl.predictions, self.algorithm, steps)


def linear_observation(
    task: RegressionTask, weights: Array, **facts: Any
) -> Observation:
    """Predict every query with its set's weights, shape (n_sets, n_inputs)."""
    sensitivities = np.broadcast_to(weights[:, None, :], task.queries.shape).copy()
    predictions = np.einsum("sqd,sd->sq", task.queries, weights)
    return regression_observation(task, predictions, sensitivities, **facts)


def solve(
    task: RegressionTask, algorithm: Algorithm, steps: int, settings: tuple[float, ...]
) -> Array:
    """Compute the weights that an algorithm ends with.

    Args:
        task: The tasks.
        algorithm: Which one.
        steps: Iterations; ridge and OLS have none.
        settings: See :class:`LinearLearner`.

    Returns:
        Weights, shape (n_sets, n_inputs).
    """
    values, basis, projected = spectrum(task)
    found = in_eigenbasis(values, projected, algorithm, steps, settings)
    return np.asarray(np.einsum("sde,se->sd", basis, np.real(found)))


def spectrum(task: RegressionTask) -> tuple[Array, Array, Array]:
    """Decompose S = XᵀX of every task.

    Returns:
        Eigenvalues (n_sets, n_inputs), eigenvectors (n_sets, n_inputs, n_inputs) in
        columns, and Xᵀy in that basis (n_sets, n_inputs).
    """
    gram = np.einsum("snd,sne->sde", task.x, task.x)
    values, basis = np.linalg.eigh(gram)
    moment = np.einsum("snd,sn->sd", task.x, task.y)
    return values, basis, np.einsum("sde,sd->se", basis, moment)


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
    if algorithm == "newton":
        inverse = settings[0] * values
        for _ in range(steps):
            inverse = 2 * inverse - inverse**2 * values
        return np.asarray(inverse * projected)
    rate, shrinkage = settings if algorithm == "gdpp" else (settings[0], 0.0)
    weights, residual = 0 * projected * rate, projected + 0 * rate
    seen, s = 1.0 + 0 * residual, values + 0 * residual
    for _ in range(steps):
        weights = weights + rate * seen * residual
        shrink = 1 - shrinkage * s
        residual, seen, s = (
            shrink * (1 - rate * s) * residual,
            shrink * seen,
            s * shrink**2,
        )
    return np.asarray(weights)


def fit(
    task: RegressionTask, target: Array, algorithm: Algorithm, steps: int
) -> tuple[float, ...]:
    """Choose the settings whose predictions come nearest to a target.

    Scans a grid, then polishes the best point by Gauss–Newton, so that a network that
    does the algorithm exactly is recovered to machine precision.

    Raises:
        NumericsError: No setting of the grid gives finite predictions.
    """
    values, basis, projected = spectrum(task)
    queries = np.einsum("sqd,sde->sqe", task.queries, basis)

    def predict(settings: tuple[Any, ...]) -> Numbers:
        weights = in_eigenbasis(values, projected, algorithm, steps, settings)
        return np.asarray(np.einsum("sqe,se->sq", queries, weights)).ravel()

    def loss(settings: tuple[float, ...]) -> float:
        with np.errstate(all="ignore"):
            found = float(np.sum((np.real(predict(settings)) - target.ravel()) ** 2))
        return found if np.isfinite(found) else np.inf

    start = min(_grid(algorithm, float(values.max())), key=loss)
    if not np.isfinite(loss(start)):
        raise NumericsError(
            f"No setting of {algorithm} with {steps} steps gives finite predictions on "
            f"calibration tasks with eigenvalues up to {values.max():.3g}. Expected "
            f"tasks of ordinary scale. Pass a dataset with a smaller input scale."
        )
    return _polish(predict, loss, target.ravel(), start)


def _grid(algorithm: Algorithm, largest: float) -> list[tuple[float, ...]]:
    rates = [2.0 / largest * 10 ** (-k / 12) for k in range(40)]
    if algorithm == "newton":
        return [(2.0 / largest**2 * 10 ** (-k / 12),) for k in range(40)]
    if algorithm == "ridge":
        return [(largest * 10 ** (-k / 6),) for k in range(60)]
    if algorithm == "gdpp":
        return [(r, g) for r in rates[::2] for g in (0.0, *rates[::4])]
    return [(rate,) for rate in rates]


def _polish(
    predict: Callable[[tuple[Any, ...]], Numbers],
    loss: Callable[[tuple[float, ...]], float],
    target: Array,
    start: tuple[float, ...],
) -> tuple[float, ...]:
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
        if np.all(np.abs(scale * move) <= 1e-17 + 1e-16 * np.abs(best)):
            best = best + scale * move
            break
        best = best + scale * move
    return tuple(float(v) for v in best)


@dataclass(frozen=True, kw_only=True)
class OnePassSGD:
    """One step on each demonstration, in the order of the prompt (least mean squares).

    Attributes:
        rate: Rate on ½(w·x − y)²; by default 1/(n_inputs · E x²) of the demonstrations.
        passes: How often the demonstrations are gone through.
        reshuffled: Draw a new order for each pass after the first.
        batch_size: Demonstrations a step, which goes along their mean gradient.
    """

    rate: float | None = None
    passes: int = 1
    reshuffled: bool = False
    batch_size: int = 1
    needs_model: bool = False

    def observe(self, scene: Scene) -> Observation:
        """Take the steps for all tasks at once."""
        task = scene.request.regression_task()
        n_sets, n, d = task.x.shape
        rate = self.rate or 1.0 / (d * float(np.mean(task.x**2)) + 1e-300)
        weights = np.zeros((n_sets, d))
        rng = np.random.default_rng(scene.request.settings.seed)
        for turn in range(self.passes):
            order = rng.permutation(n) if turn and self.reshuffled else np.arange(n)
            starts = range(0, n, self.batch_size)
            for batch in (order[start : start + self.batch_size] for start in starts):
                x, y = task.x[:, batch], task.y[:, batch]
                error = y - np.einsum("sd,sbd->sb", weights, x)
                moves = np.einsum("sb,sbd->sd", error, x) / len(batch)
                weights = weights + rate * moves
        steps = len(starts) * self.passes
        return linear_observation(task, weights, settings=[rate], steps=steps)


@dataclass(frozen=True, kw_only=True)
class NearestNeighbours:
    """The mean answer of the k nearest demonstrations."""

    k: int = 3
    needs_model: bool = False

    def observe(self, scene: Scene) -> Observation:
        """Look up each query's neighbours; the gradient is 0 nearly everywhere."""
        task = scene.request.regression_task()
        gaps = task.queries[:, :, None, :] - task.x[:, None, :, :]
        near = np.argsort((gaps**2).sum(-1), axis=-1)[..., : self.k]
        answers = np.take_along_axis(task.y[:, None, :], near, axis=-1).mean(axis=-1)
        return regression_observation(task, answers, np.zeros_like(task.queries))
