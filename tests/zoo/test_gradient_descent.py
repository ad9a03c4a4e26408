"""Every architecture learns as in a plain loop of PyTorch over the library's model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from probes.models.training.label_batches import LabelBatches
from probes.models.training.lora import LoRA
from probes.models.training.settings import TrainingSettings
from probes.models.training.trainer import trainer_for
from probes.models.training.training_runs import TrainingRun
from probes.models.weights.stacks import Weights
from probes.models.weights.weight_parts import parts_of
from tests.support.zoo import CAUSAL, able, architecture, built, loaded

N_PASSES = 3
RATES = (0.02, 0.05)
RUNS = [TrainingRun(index=s, rate=rate, seed=0) for s in range(2) for rate in RATES]
IDS = torch.randint(2, 60, (2, 3, 11), generator=torch.Generator().manual_seed(5))
ENDS = torch.tensor([[8, 10, 6], [10, 9, 9]])
"""The position that predicts each example's answer; what follows is padding."""
ANSWERS = torch.tensor([[7, 9, 7], [9, 9, 7]])


def batches() -> LabelBatches:
    columns, reads = torch.unique(ENDS, return_inverse=True)
    return LabelBatches(
        ids=IDS,
        columns=columns,
        reads=reads[..., None],
        targets=ANSWERS[..., None],
        shares=torch.ones(2, 3, 1, dtype=torch.float64),
    )


def trained(
    name: str, weights: str, passes: int = N_PASSES, **settings: str
) -> list[Weights]:
    """Train all runs by our trainer, in the groups that it chooses."""
    trainer = trainer_for(
        loaded(name), TrainingSettings(weights=weights, **settings), batches()
    )
    done: list[Weights] = []
    for group in trainer.groups(RUNS):
        result = trainer.run(group, passes)
        result.require_usable()
        done += [result.of(i) for i in range(len(group))]
    return done


def plain_loss(model: torch.nn.Module, index: int) -> Tensor:
    """Average the cross-entropy of the answers; each example is a pass of its own."""
    losses = []
    for ids, end, answer in zip(IDS[index], ENDS[index], ANSWERS[index], strict=True):
        logits = model(ids[None, : int(end) + 1], use_cache=False).logits[0, -1]
        losses.append(cross_entropy(logits[None], answer[None]))
    return torch.stack(losses).mean()


def plain_descent(
    name: str,
    run: TrainingRun,
    masks: dict[str, Tensor],
    *,
    passes: int = N_PASSES,
    model: Any = None,
) -> Weights:
    """Train some entries of a model's parameters by the steps of torch.optim."""
    model = model or built(name)
    moving = {n: p for n, p in model.named_parameters() if n in masks}
    for p in moving.values():
        p.requires_grad_(True)
    steps = torch.optim.SGD(moving.values(), lr=run.rate)
    for _ in range(passes):
        steps.zero_grad()
        plain_loss(model, run.index).backward()
        for path, p in moving.items():
            if p.grad is not None:
                p.grad *= masks[path]
        steps.step()
    return {path: p.detach() for path, p in moving.items()}


def require_same_effect(
    name: str, ours: Sequence[Weights], theirs: Sequence[Weights]
) -> None:
    """Require an error of at most a thousandth of how far the weights moved."""
    start = dict(built(name).named_parameters())
    for mine, plain in zip(ours, theirs, strict=True):
        assert mine.keys() == plain.keys()
        errors = sum(float((mine[n] - plain[n]).double().square().sum()) for n in mine)
        moved = sum(float((plain[n] - start[n]).double().square().sum()) for n in mine)
        assert moved > 0
        assert (errors / moved) ** 0.5 < 1e-3


@pytest.mark.parametrize("name", CAUSAL)
def test_gd_of_all_weights_is_a_plain_loop(name: str) -> None:
    masks = {n: torch.ones_like(p) for n, p in built(name).named_parameters()}
    theirs = [plain_descent(name, run, masks) for run in RUNS]
    require_same_effect(name, trained(name, "all"), theirs)


@pytest.mark.parametrize("weights", ["W_Q@first", "W_V@middle", "W_O@last", "mlp@last"])
@pytest.mark.parametrize("name", able("attention matrices"))
def test_gd_of_a_submodel_moves_its_rows_alone(name: str, weights: str) -> None:
    masks: dict[str, Tensor] = {}
    model = built(name)
    for part in parts_of(model, weights):
        p = torch.zeros_like(model.get_parameter(part.name))
        masks[part.name] = part.write(p, part.read(p) + 1)
    theirs = [plain_descent(name, run, masks) for run in RUNS]
    require_same_effect(name, trained(name, weights), theirs)


@pytest.mark.parametrize("name", able("lora"))
def test_lora_moves_factors_of_all_four_matrices(name: str) -> None:
    (ours, *_) = trained(name, "lora@all")
    run, model = RUNS[0], built(name)
    parts = parts_of(model, "lora@all")
    start = {part.name: model.get_parameter(part.name) for part in parts}
    assert len(parts) == 8
    factors = {n: f[0] for n, f in LoRA(start, parts).initial().items()}
    for _ in range(N_PASSES):
        for factor in factors.values():
            factor.requires_grad_(True)
        weights = dict(start)
        for part in parts:
            change = factors[f"{part.label}:B"] @ factors[f"{part.label}:A"]
            whole = weights[part.name]
            weights[part.name] = part.write(whole, part.read(whole) + change)

        def asked(ids: Tensor, weights: Weights = weights, **given: bool) -> object:
            return torch.func.functional_call(model, weights, (ids,), given)

        loss = plain_loss(asked, run.index)  # type: ignore[arg-type]
        found = torch.autograd.grad(loss, list(factors.values()))
        factors = {
            n: (f - run.rate * g).detach()
            for (n, f), g in zip(factors.items(), found, strict=True)
        }
    changed = dict(start)
    for part in parts:
        change = factors[f"{part.label}:B"] @ factors[f"{part.label}:A"]
        whole = changed[part.name]
        changed[part.name] = part.write(whole, part.read(whole) + change)
    require_same_effect(name, [ours], [changed])


@pytest.mark.parametrize("name", able("layers"))
def test_layerwise_gd_gives_each_layer_the_loss_of_its_own_output(name: str) -> None:
    """Layer 1 learns as if the rest were frozen, layer 0 as if it were the last."""
    described = architecture(name)
    assert described is not None
    (ours, *_) = trained(name, "all", passes=1, loss="layerwise")
    for number in (0, 1):
        model = built(name)
        path = f"{described.layers}.{number}."
        own = {n: p for n, p in model.named_parameters() if n.startswith(path)}
        if number == 0:
            pass_through(described.layers_of(model)[1])
        masks = {n: torch.ones_like(p) for n, p in own.items()}
        theirs = plain_descent(name, RUNS[0], masks, passes=1, model=model)
        require_same_effect(name, [{n: ours[n] for n in own}], [theirs])


def pass_through(layer: torch.nn.Module) -> None:
    """Let a layer return its input, in the form in which it returns its output."""

    def give_input(_: object, given: object, named: object, output: object) -> object:
        entered = given[0] if given else named["hidden_states"]  # type: ignore[index]
        if isinstance(output, tuple):
            return (entered, *output[1:])
        return entered

    layer.register_forward_hook(give_input, with_kwargs=True)
