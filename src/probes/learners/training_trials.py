"""Trials: one training for each learning rate and demonstration set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from probes.hashing import seed_of
from probes.measurement import Array

if TYPE_CHECKING:
    from probes.data.prompt_encoding import EncodedPrompts
    from probes.models.training.trainer import Trainer
    from probes.models.training.training_runs import TrainingRun
    from probes.observations.request import LearnerContext

SELECTION_SETS = 4  # demonstration sets used to choose rate and passes


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


def calibration_losses(
    context: LearnerContext,
    prompts: EncodedPrompts,
    training: Trainer,
    *,
    rates: Sequence[float],
    passes: Sequence[int],
) -> tuple[Array, list[str]]:
    """Sum the label loss of calibration queries over the first demonstration sets.

    Args:
        context: A request for calibration queries.
        prompts: Its prompts.
        training: A training on at least the first demonstration sets.
        rates: Learning rates to try.
        passes: Numbers of passes after which the loss is read.

    Returns:
        Losses in nats, shape (n_rates, n_passes), not finite where training fails; and
        for each trial its failure, or an empty text.
    """
    from probes.models.training.label_batches import encode_label_batches

    queries = prompts.task.queries[:SELECTION_SETS]
    batches = encode_label_batches(context.model, prompts, queries)
    losses, faults = [], []
    for group in training.groups(trials_of(context, rates, len(queries))):
        of_group, failed = training.losses(group, passes, batches)
        losses.append(of_group)
        faults += failed
    by_set = np.concatenate(losses).reshape(len(rates), len(queries), -1)
    return np.asarray(by_set.sum(axis=1)), faults
