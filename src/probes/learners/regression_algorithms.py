"""The regression algorithms, batched: GD, GD++, Newton, ridge and OLS.

All predict ŷ = w·x. Rates are on the sum of squares ½Σ(w·xᵢ − yᵢ)²: the papers' η/N.
``eigenbasis`` runs them, ``fitting`` fits their settings, and ``regression_baselines``
has other algorithms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.cards import LinearTasks
from probes.data.regression_tasks import RegressionTask
from probes.errors import OptionError
from probes.learners.eigenbasis import Algorithm, solve
from probes.learners.fitting import fit
from probes.learners.in_context import InContext, regression_observation
from probes.measurement import Array
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import LearnerContext

SETTINGS = {
    "gd": 1,
    "gdpp": 2,
    "newton": 1,
    "newton_scaled": 1,
    "ridge": 1,
    "ols": 0,
}


@dataclass(frozen=True, kw_only=True)
class LinearLearner:
    """An algorithm that ends in a linear predictor.

    Attributes:
        algorithm: "gd", "gdpp", "newton", "newton_scaled", "ridge" or "ols".
        steps: Iterations; None takes as many as the network has layers.
        settings: gd: (rate,); gdpp: (rate, γ); newton and newton_scaled: (start
            scale,), the latter relative to each task's 1/‖S‖²; ridge: (λ,).
            None takes the network's declared settings for the algorithm. If there are
            none, it takes those that come nearest to ICL on calibration tasks, which no
            verdict sees.
        fitted_on: The distribution of the calibration tasks; None takes the cell's.
        fitted_steps: Iterations with which settings are declared or fitted, so that
            fewer steps are a part of the same run; None takes ``steps``.
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
                f"The settings of {self.algorithm} are {self.settings}. Expected "
                f"{wanted} numbers. See LinearLearner.settings."
            )

    def observe(self, context: LearnerContext) -> Observation:
        """Solve every task of the context at once.

        Raises:
            NumericsError: No setting gives finite predictions on calibration tasks.
        """
        steps = context.request.model.n_layers if self.steps is None else self.steps
        assert steps is not None
        settings = self._settings(context, self.fitted_steps or steps)
        task = context.request.regression_task()
        weights = solve(task, self.algorithm, steps, settings)
        return linear_observation(task, weights, settings=list(settings), steps=steps)

    def _settings(self, context: LearnerContext, steps: int) -> tuple[float, ...]:
        if self.algorithm == "ols":
            return ()
        if self.settings is not None:
            return self.settings
        declared = context.request.model.settings_for(self.algorithm)
        if declared is not None and steps == context.request.model.n_layers:
            return declared
        request = replace(context.request, queries="calibration", order=0, shown="all")
        if self.fitted_on is not None:
            dataset = replace(request.dataset, rows=self.fitted_on)
            request = replace(request, dataset=dataset)
        icl = context.answer(replace(request, learner=InContext()))
        return fit(request.regression_task(), icl.predictions, self.algorithm, steps)


def linear_observation(
    task: RegressionTask, weights: Array, **facts: Any
) -> Observation:
    """Predict every query with its set's weights, shape (n_sets, n_inputs)."""
    sensitivities = np.broadcast_to(weights[:, None, :], task.queries.shape).copy()
    predictions = np.einsum("sqd,sd->sq", task.queries, weights)
    return regression_observation(task, predictions, sensitivities, **facts)
