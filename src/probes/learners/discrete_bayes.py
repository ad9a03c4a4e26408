"""The Bayes estimator for a prior of a few teachers (dMMSE), a rival on regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from probes.cards import LinearTasks
from probes.data.regression_tasks import RegressionTask, teacher_pool
from probes.errors import OptionError
from probes.learners.regression_algorithms import linear_observation
from probes.measurement import Array
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import LearnerContext

ASSUMED_NOISE = 0.5
"""The standard deviation that Raventós et al. give the noise; the estimator assumes it
where tasks have none, since without noise one demonstration decides."""


@dataclass(frozen=True, kw_only=True)
class DiscreteBayes:
    """Average a few teachers, each by its probability after the demonstrations.

    With teachers w_1 … w_M of equal prior probability and noise of variance σ²,

        w = Σ_m w_m exp(−‖y − X w_m‖²/2σ²) / Σ_m exp(−‖y − X w_m‖²/2σ²).

    Attributes:
        n_teachers: M. They are drawn from the tasks' distribution of teachers.
        seed: Seed of the draw. ``regression_tasks.TRAINED_POOL`` gives the teachers on
            which networks were trained. Others give teachers that no network has seen;
            with them, the estimator is a rival that should fail.

    Raises:
        OptionError: There is no teacher.

    Reference:
        Raventós et al. 2023, arXiv:2306.15063, eq. 3.
    """

    n_teachers: int
    seed: int = 0
    needs_model: bool = False

    def __post_init__(self) -> None:
        if self.n_teachers < 1:
            raise OptionError(
                f"The number of teachers is {self.n_teachers}. Expected at least 1. "
                f"Mend n_teachers=."
            )

    def observe(self, context: LearnerContext) -> Observation:
        """Weigh the teachers on every task of the context."""
        tasks, task = context.request.dataset.rows, context.request.regression_task()
        assert isinstance(tasks, LinearTasks)
        teachers = teacher_pool(tasks, self.n_teachers, seed=self.seed)
        noise = tasks.noise or ASSUMED_NOISE
        return linear_observation(task, posterior_mean(task, teachers, noise))


def posterior_mean(task: RegressionTask, teachers: Array, noise: float) -> Array:
    """Average teachers by their probability after a task's demonstrations.

    Args:
        task: The tasks.
        teachers: w_1 … w_M, shape (n_teachers, n_inputs).
        noise: σ, above 0.

    Returns:
        w of each set, shape (n_sets, n_inputs).
    """
    errors = np.zeros((len(task.y), len(teachers)))  # ‖y − X w‖²
    for x, y in zip(np.moveaxis(task.x, 1, 0), task.y.T, strict=True):
        errors += (y[:, None] - x @ teachers.T) ** 2  # one pair at a time, for memory
    scores = -errors / (2 * noise**2)  # (n_sets, n_teachers)
    likelihoods = np.exp(scores - scores.max(axis=1, keepdims=True))
    posterior = likelihoods / likelihoods.sum(axis=1, keepdims=True)
    return np.asarray(posterior @ teachers)
