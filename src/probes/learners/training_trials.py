"""Trials: one training for each learning rate and demonstration set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from probes.hashing import seed_of

if TYPE_CHECKING:
    from probes.models.training.training_runs import TrainingRun
    from probes.observations.request import LearnerContext

SELECTION_SETS = 4
"""Demonstration sets on which settings are chosen."""


def training_seed(context: LearnerContext, index: int) -> int:
    """Derive the seed of training on a demonstration set, the same in every repeat."""
    return seed_of("training", context.request.settings.seed, index)


def trials_of(
    context: LearnerContext, rates: Sequence[float], n_sets: int
) -> list[TrainingRun]:
    """List a trial for every rate and each of the first sets, rate by rate."""
    from probes.models.training.training_runs import TrainingRun

    return [
        TrainingRun(index=index, rate=rate, seed=training_seed(context, index))
        for rate in rates
        for index in range(n_sets)
    ]
