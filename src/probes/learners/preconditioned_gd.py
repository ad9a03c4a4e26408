"""Gradient descent whose rate differs from input to input (preconditioned GD).

A step is w ← w + c A Σᵢ (yᵢ − w·xᵢ) xᵢ with a diagonal matrix A. With x' = A^½ x and
w = A^½ w' it is the step w' ← w' + c Σᵢ (yᵢ − w'·x'ᵢ) x'ᵢ of plain GD, and w·x = w'·x'.
So plain GD on scaled inputs computes it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from probes.cards import LinearTasks
from probes.data.regression_tasks import RegressionTask, best_preconditioner
from probes.learners.eigenbasis import solve
from probes.learners.fitting import fit
from probes.learners.regression_algorithms import linear_observation
from probes.learners.regression_baselines import calibration
from probes.measurement import Array
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import LearnerContext

NAME = "preconditioned_gd"


@dataclass(frozen=True, kw_only=True)
class PreconditionedGD:
    """GD with the preconditioner that is best for the tasks' inputs.

    The rates are those that the network declares for "preconditioned_gd". Else they
    are those of ``best_preconditioner`` times one factor c, the one that comes nearest
    to ICL on calibration tasks. Plain GD has one fitted number too.

    Attributes:
        steps: Iterations; None takes as many as the network has layers.
        factor: c; None fits it.

    Reference:
        Ahn et al. 2023, arXiv:2306.00297; Mahankali et al. 2023, arXiv:2307.03576.
    """

    steps: int | None = None
    factor: float | None = None
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Solve every task of the context at once.

        Raises:
            NumericsError: No factor gives finite predictions on calibration tasks.
            OptionError: Inputs or teachers are not 0 on average.
        """
        request = context.request
        steps = request.model.n_layers if self.steps is None else self.steps
        assert steps is not None
        rates = np.array(self._rates(context, steps))
        scaled = with_scaled_inputs(request.regression_task(), np.sqrt(rates))
        weights = solve(scaled, "gd", steps, (1.0,)) * np.sqrt(rates)
        task = request.regression_task()
        return linear_observation(task, weights, settings=rates.tolist(), steps=steps)

    def _rates(self, context: LearnerContext, steps: int) -> tuple[float, ...]:
        request = context.request
        declared = request.model.settings_for(NAME)
        if declared is not None and steps == request.model.n_layers:
            return declared
        assert isinstance(request.dataset.rows, LinearTasks)
        best = best_preconditioner(request.dataset.rows, request.n_demonstrations)
        factor = self.factor
        if factor is None:
            task, target = calibration(context)
            scaled = with_scaled_inputs(task, np.sqrt(best))
            (factor,) = fit(scaled, target, "gd", steps)
        return tuple(factor * rate for rate in best)


def with_scaled_inputs(task: RegressionTask, factors: Array) -> RegressionTask:
    """Multiply every input of demonstrations and queries by its factor."""
    return replace(task, x=task.x * factors, queries=task.queries * factors)
