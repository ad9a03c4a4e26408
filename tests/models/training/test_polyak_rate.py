"""The rate from which a search starts, against autograd."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.training.settings import TrainingSettings
from probes.models.training.trainer import trainer_for
from probes.models.training.training_runs import TrainingRun
from probes.models.weights.parameter_groups import parameters_of
from tests.support.llamas import batches, built


def loss_of(model: CausalLM, weights: Mapping[str, Tensor], index: int) -> Tensor:
    """Average −log p of the answers over a set's examples, one after the other."""
    shown = batches()
    ids, reads, targets, shares, *_ = shown.take(torch.tensor([index]))
    losses = []
    for row, read, target, share in zip(
        ids[0], shown.columns[reads[0]], targets[0], shares[0], strict=True
    ):
        logits = functional_call(model.model, dict(weights), (row[None],)).logits[0]
        of_right = torch.log_softmax(logits[read], dim=-1).gather(-1, target[:, None])
        losses.append(-(of_right[:, 0] * share).sum())
    return torch.stack(losses).mean()


@pytest.mark.parametrize("weights", ["all", "W_V@middle"])
@pytest.mark.parametrize("optimizer", ["gd", "adam"])
@pytest.mark.parametrize("batch_size", [None, 1])
def test_it_is_the_loss_over_the_steepness_of_a_first_step(
    optimizer: str, weights: str, batch_size: int | None
) -> None:
    torch.manual_seed(0)
    model = CausalLM(built("tied"), None)
    start = {n: p.detach().requires_grad_() for n, p in model.model.named_parameters()}
    moved = [start[name] for name in parameters_of(model.model, weights)]
    loss = loss_of(model, start, index=1)
    gradients = torch.autograd.grad(loss, moved)
    power = 1 if optimizer == "adam" else 2
    steepness = sum(float(g.double().abs().pow(power).sum()) for g in gradients)
    settings = TrainingSettings(
        optimizer=optimizer,  # type: ignore[arg-type]
        batch_size=batch_size,
        weights=weights,
    )
    trainer = trainer_for(model, settings, batches())
    rate = trainer.loop.polyak_rate(TrainingRun(index=1, rate=0.0, seed=0))
    assert rate == pytest.approx(float(loss.detach()) / steepness, rel=1e-4)
