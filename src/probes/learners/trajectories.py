"""An algorithm's predictions after several numbers of steps of one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from probes.errors import OptionError
from probes.learners.eigenbasis import weights_after
from probes.learners.regression_algorithms import LinearLearner
from probes.measurement import Array
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import LearnerContext

DIVERGED = 1e3
"""The largest prediction kept, in answer sizes. A run that diverges is far from
everything, and it does not matter how far."""


@dataclass(frozen=True, kw_only=True)
class AlgorithmTrajectory:
    """One run of an iterative algorithm, read after several numbers of steps.

    Attributes:
        of: The algorithm. The whole run has its settings, declared or fitted with its
            own number of steps.
        counts: Numbers of steps, ascending; 0 is the start of the run.
    """

    of: LinearLearner
    counts: tuple[int, ...]
    needs_model: bool = True

    def __post_init__(self) -> None:
        ascending = list(self.counts) == sorted({*self.counts}) and self.counts
        if not ascending or self.counts[0] < 0:
            raise OptionError(
                f"The counts of steps are {self.counts}. Expected different whole "
                f"numbers from 0 on, ascending. Sort counts=."
            )

    def observe(self, context: LearnerContext) -> Observation:
        """Predict every query after each number of steps.

        Raises:
            NumericsError: No setting gives finite predictions on calibration tasks.
        """
        settings = context.observe(self.of).facts["settings"]
        task = context.request.regression_task()
        limit = DIVERGED * float(np.sqrt(np.mean(task.answers**2)))
        with np.errstate(all="ignore"):  # runs may diverge
            weights = weights_after(
                task, self.of.algorithm, tuple(settings), self.counts
            )
            paths = _clipped(task.queries @ weights, limit)
        return Observation(
            arrays={"paths": paths, "answers": task.answers},
            facts={"settings": list(settings), "counts": list(self.counts)},
        )


def _clipped(predictions: Array, limit: float) -> Array:
    finite = np.where(np.isnan(predictions), limit, predictions)
    return np.asarray(np.clip(finite, -limit, limit))
