"""The loops that a careful researcher would write: the peers of the benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from probes.learners import GradientLearner
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.training.label_batches import LabelBatches
from probes.models.training.trainer import trainer_for
from probes.models.training.training_runs import TrainingRun
from tests.benchmarks.llamas import Prompts


def last_logits(model: Any, prompts: list[list[int]]) -> Any:
    """Run a batch padded on the right, and read every prompt's last token."""
    import torch

    longest = max(map(len, prompts))
    ids = torch.tensor([[*p, *[0] * (longest - len(p))] for p in prompts])
    seen = torch.tensor([[1] * len(p) + [0] * (longest - len(p)) for p in prompts])
    logits = model(input_ids=ids, attention_mask=seen).logits
    return logits[torch.arange(len(prompts)), seen.sum(1) - 1]


Orders = list[list[int]]


def batches_of(given: Prompts, orders: Orders) -> LabelBatches:
    """Put demonstrations into tensors, a set for each order."""
    shown = [[0, *given.demonstrations[i]] for i in range(len(given.demonstrations))]
    longest = max(map(len, shown))
    ids = torch.tensor([[*s, *[0] * (longest - len(s))] for s in shown])
    last = torch.tensor([[len(s) - 1] for s in shown])
    columns, reads = torch.unique(last, return_inverse=True)
    labels = torch.tensor([[given.label(i)] for i in range(len(shown))])
    picked = torch.tensor(orders)
    return LabelBatches(
        ids=ids[picked],
        columns=columns,
        reads=reads[picked],
        targets=labels[picked],
        shares=torch.ones(len(orders), len(shown), 1, dtype=torch.float64),
    )


def sweep(
    model: CausalLM,
    learner: GradientLearner,
    given: Prompts,
    orders: Orders,
    *,
    rates: Sequence[float],
) -> Any:
    """Train at every rate in every order, and ask: our way."""
    training = trainer_for(model, learner.training, batches_of(given, orders))
    runs = [
        TrainingRun(index=order, rate=rate, seed=0)
        for rate in rates
        for order in range(len(orders))
    ]
    queries, answers = [[0, *q] for q in given.queries], []
    assert learner.passes is not None
    for group in training.groups(runs):
        weights = training.run(group, learner.passes).weights
        found = model.log_probs_of_stack(weights, queries)
        answers.append(found[..., list(given.labels)])
    return np.concatenate(answers)
