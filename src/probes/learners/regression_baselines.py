"""Algorithms without full-batch iterations: one-pass SGD and nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from probes.data.regression_tasks import RegressionTask
from probes.learners.eigenbasis import Numbers
from probes.learners.fitting import fit_alone
from probes.learners.in_context import InContext, regression_observation
from probes.learners.regression_algorithms import linear_observation
from probes.measurement import Array
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import LearnerContext

SAME_INPUT = 1e-100
"""Two inputs that are closer than this are one."""


@dataclass(frozen=True, kw_only=True)
class OnePassSGD:
    """One step on each demonstration, in the order of the prompt (least mean squares).

    Attributes:
        rate: Rate on ½(w·x − y)²; "typical" is 1/(n_inputs · E x²) of the
            demonstrations; "fitted" comes nearest to ICL on calibration tasks.
        passes: Passes over the demonstrations.
        reshuffled: Draw a new order for each pass after the first.
        batch_size: Demonstrations in each step, which follows their mean gradient.
    """

    rate: float | Literal["typical", "fitted"] = "typical"
    passes: int = 1
    reshuffled: bool = False
    batch_size: int = 1

    @property
    def needs_model(self) -> bool:
        """Whether ICL's answers choose the rate."""
        return self.rate == "fitted"

    def observe(self, context: LearnerContext) -> Observation:
        """Take the steps for all tasks at once."""
        task, seed = context.request.regression_task(), context.request.settings.seed
        rate = self._rate(context, task)
        weights = np.real(self._weights(task, rate, seed))
        steps = len(self._starts(task)) * self.passes
        return linear_observation(task, weights, settings=[rate], steps=steps)

    def _rate(self, context: LearnerContext, task: RegressionTask) -> float:
        if isinstance(self.rate, float | int):
            return self.rate
        if self.rate == "typical":
            size = float((task.x**2).sum(axis=-1).mean())
            return 1.0 / (size + 1e-300)
        tasks, target = calibration(context)
        seed = context.request.settings.seed

        def predict(rates: tuple[Any, ...]) -> Numbers:
            weights = self._weights(tasks, rates[0], seed)
            return np.asarray(np.einsum("sqd,sd->sq", tasks.queries, weights)).ravel()

        return fit_alone(predict, target.ravel(), float((tasks.x**2).sum(-1).max()))

    def _weights(self, task: RegressionTask, rate: Any, seed: int) -> Numbers:
        """Run all steps; a complex rate gives derivatives by a complex step."""
        n_sets, n, d = task.x.shape
        weights: Numbers = np.zeros((n_sets, d)) * rate
        rng = np.random.default_rng(seed)
        for turn in range(self.passes):
            order = rng.permutation(n) if turn and self.reshuffled else np.arange(n)
            for start in self._starts(task):
                batch = order[start : start + self.batch_size]
                x = task.x[:, batch]  # (n_sets, batch_size, n_inputs)
                error = task.y[:, batch] - np.einsum("sd,sbd->sb", weights, x)
                moves = np.einsum("sb,sbd->sd", error, x) / len(batch)
                weights = weights + rate * moves
        return weights

    def _starts(self, task: RegressionTask) -> range:
        return range(0, task.x.shape[1], self.batch_size)


@dataclass(frozen=True, kw_only=True)
class NearestNeighbours:
    """The mean answer of the k nearest demonstrations, plain or weighted.

    Attributes:
        k: Number of neighbours, or all demonstrations if there are fewer; "fitted"
            comes nearest to ICL on calibration tasks. Without any it answers 0.
        power: Weights are distance^−power. 0 is the plain mean, 1 that of weights
            1 / distance; "fitted" is the one of the two that comes nearer to ICL.

    Reference:
        Garg et al. 2022, arXiv:2208.01066 (plain); Akyürek et al. 2023,
        arXiv:2211.15661 (also by distance).
    """

    k: int | Literal["fitted"] = 3
    power: float | Literal["fitted"] = 0.0

    @property
    def needs_model(self) -> bool:
        """Whether ICL's answers choose the number of neighbours or their weights."""
        return "fitted" in (self.k, self.power)

    def observe(self, context: LearnerContext) -> Observation:
        """Look up each query's neighbours; their gradient is taken to be 0."""
        task = context.request.regression_task()
        k, power = self._settings(context)
        answers = neighbours(task, power)[..., : min(k, task.y.shape[1])]
        nearest = answers[..., -1] if answers.shape[-1] else np.zeros(answers.shape[:2])
        flat = np.zeros_like(task.queries)
        return regression_observation(task, nearest, flat, settings=[k, power])

    def _settings(self, context: LearnerContext) -> tuple[int, float]:
        """Give k and the power; those that are fitted come nearest to ICL."""
        if self.k != "fitted" and self.power != "fitted":
            return self.k, self.power
        task, target = calibration(context)
        powers = (0.0, 1.0) if self.power == "fitted" else (self.power,)
        numbers = range(1, task.y.shape[1] + 1) if self.k == "fitted" else (self.k,)
        gaps = {}
        for power in powers:
            errors = (neighbours(task, power) - target[..., None]) ** 2
            by_number = errors.mean(axis=(0, 1))
            for k in numbers:
                place = min(k, len(by_number)) - 1
                gaps[k, power] = float(by_number[place])
        return min(gaps, key=lambda settings: gaps[settings])


def neighbours(task: RegressionTask, power: float = 0.0) -> Array:
    """Average the answers of each query's 1, 2, … nearest demonstrations.

    Args:
        task: The tasks.
        power: Weights are distance^−power. A demonstration of the query itself leaves
            the others without weight, unless the power is 0.

    Returns:
        Shape (n_sets, n_queries, n_demonstrations).
    """
    gaps = task.queries[:, :, None, :] - task.x[:, None, :, :]
    distances = np.sqrt((gaps**2).sum(-1))
    near = np.argsort(distances, axis=-1)
    answers = np.take_along_axis(task.y[:, None, :], near, axis=-1)
    sorted_distances = np.take_along_axis(distances, near, axis=-1)
    weights = np.maximum(sorted_distances, SAME_INPUT) ** -power
    return np.asarray((weights * answers).cumsum(-1) / weights.cumsum(-1))


def calibration(context: LearnerContext) -> tuple[RegressionTask, Array]:
    """Draw calibration tasks, which no verdict sees, and ask ICL to answer them."""
    request = replace(context.request, queries="calibration", order=0, shown="all")
    icl = context.answer(replace(request, learner=InContext()))
    return request.regression_task(), icl.predictions
