"""What an algorithm predicts after each of several numbers of steps of one run."""

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
"""Predictions are held at so many answer sizes: a run that diverges is far from
everything, and how far tells nothing."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """One run of an iterative algorithm, read after several numbers of steps.

    Attributes:
        of: The algorithm. Its settings, declared or fitted with its own number of
            steps, hold for the whole run.
        counts: Numbers of steps, ascending; 0 is where the run starts.
    """

    of: LinearLearner
    counts: tuple[int, ...]
    needs_model: bool = True

    def __post_init__(self) -> None:
        ascending = list(self.counts) == sorted({*self.counts}) and self.counts
        if not ascending or self.counts[0] < 0:
            raise OptionError(
                f"Steps was given the counts {self.counts}. Expected different whole "
                f"numbers from 0 on, ascending. Sort them."
            )

    def observe(self, context: LearnerContext) -> Observation:
        """Predict every query after each number of steps.

        Raises:
            NumericsError: No setting gives finite predictions on calibration tasks.
        """
        settings = context.observe(self.of).facts["settings"]
        task = context.request.regression_task()
        limit = DIVERGED * float(np.sqrt(np.mean(task.answers**2)))
        with np.errstate(all="ignore"):  # of runs that diverge
            weights = weights_after(
                task, self.of.algorithm, tuple(settings), self.counts
            )
            paths = _held(task.queries @ weights, limit)
        return Observation(
            arrays={"paths": paths, "answers": task.answers},
            facts={"settings": list(settings), "counts": list(self.counts)},
        )


def _held(predictions: Array, limit: float) -> Array:
    held = np.where(np.isnan(predictions), limit, predictions)
    return np.asarray(np.clip(held, -limit, limit))
