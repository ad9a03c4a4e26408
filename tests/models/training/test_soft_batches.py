"""Learning a distribution over next tokens is one loss in both backends."""

from __future__ import annotations

from itertools import islice

import pytest
import torch

from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.training.label_batches import LabelBatches
from probes.models.training.settings import TrainingSettings
from probes.models.training.soft_batches import encode_soft_batches
from probes.models.training.trainer import Trainer, trainer_for
from probes.models.training.training_runs import TrainingRun
from probes.models.weights.stacks import Weights
from tests.support.llamas import built
from tests.support.tiny_models import prompts

SETS = [prompts([3, 6, 1], shared=2), prompts([2, 5, 4], shared=3)]
TOKENS = torch.tensor([[[5, 7, 9], [4, 8, 6], [1, 2, 3]]] * 2)
CHANCES = torch.tensor([[0.6, 0.3, 0.1], [0.5, 0.25, 0.25], [0.2, 0.2, 0.6]])
RUNS = [TrainingRun(index=i, rate=0.3, seed=0) for i in (0, 1)]


def batches(model: CausalLM, scale: float = 1.0) -> LabelBatches:
    log_probs = (scale * CHANCES).log().expand(2, 3, 3)
    return encode_soft_batches(model, SETS, TOKENS, log_probs)


def steps(training: Trainer) -> list[Weights]:
    return [
        {name: w.clone() for name, w in done.weights.items()}
        for run in RUNS
        for done in islice(training.loop.walk([run]), 3)
    ]


@pytest.mark.parametrize("weights", ["all", "lora@all"])
def test_both_backends_learn_the_same(
    weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = CausalLM(built("grouped_queries"), None)
    settings = TrainingSettings(weights=weights)
    fast = steps(trainer_for(model, settings, batches(model)))
    monkeypatch.setitem(model.__dict__, "fast_path", None)
    plain = steps(trainer_for(model, settings, batches(model)))
    for found, wanted in zip(fast, plain, strict=True):
        for name, weight in wanted.items():
            torch.testing.assert_close(found[name], weight, atol=1e-6, rtol=1e-6)


def test_the_loss_is_the_cross_entropy_with_the_distribution() -> None:
    model = CausalLM(built("grouped_queries"), None)
    soft = batches(model, scale=0.9)  # what is left out is scaled to 1
    training = trainer_for(model, TrainingSettings(), soft)
    start = {n: p.detach()[None] for n, p in training.start.items()}
    sets = torch.tensor([1])
    (found,) = training.backend.gradients(
        start, soft.columns, soft.take(sets), lambda name, gradient: None
    )
    expected = 0.0
    for prompt, tokens, chances in zip(SETS[1], TOKENS[1], CHANCES, strict=True):
        logits = model.model(torch.tensor([prompt])).logits[0, -1]
        expected -= float(chances.double() @ torch.log_softmax(logits, -1)[tokens])
    assert float(found) == pytest.approx(expected / 3)
