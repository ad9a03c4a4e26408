"""Packing weights for fast products changes no answer and no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.llama import inference, prepacked_linear
from probes.models.llama.inference import ask
from probes.models.llama.model import Llama
from probes.models.llama.prepacked_linear import PrepackedWeight
from probes.models.training.llama_backend import LlamaBackend
from probes.models.weights.parameter_groups import parameters_of
from probes.models.weights.stacks import unstacked
from tests.support.gradient_receivers import collect_into
from tests.support.llamas import (
    FAMILY,
    GROUPS,
    built,
    disturbed,
    examples,
    group,
    plain_loss,
    wanted,
)

pytestmark = pytest.mark.skipif(
    not prepacked_linear.has_packing_operators(),
    reason="this torch has no oneDNN products",
)
CLOSE = 1e-5  # float32, entries of about 1


def drawn(*size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(3), dtype=dtype)


@pytest.fixture
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepacked_linear, "MIN_NUMBERS", 1)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("size", [(7, 16), (2, 5, 16)])
def test_a_packed_product_is_the_plain_one(size: tuple[int, ...], biased: bool) -> None:
    weight, bias = drawn(24, 16), drawn(24) if biased else None
    x = drawn(*size).requires_grad_()
    found, plain = PrepackedWeight(weight)(x.detach(), bias), F.linear(x, weight, bias)
    torch.testing.assert_close(found, plain.detach(), atol=CLOSE, rtol=CLOSE)
    onward = drawn(*found.shape)
    (gradient,) = torch.autograd.grad(plain, x, onward)
    torch.testing.assert_close(
        PrepackedWeight(weight).backward(onward), gradient, atol=CLOSE, rtol=CLOSE
    )


def test_products_interleave_the_halves_of_heads() -> None:
    """Three heads of eight numbers: 0 4 1 5 2 6 3 7."""
    weight, bias, x = drawn(24, 16), drawn(24), drawn(7, 16).requires_grad_()
    own, plain = PrepackedWeight(weight, d_head=8), F.linear(x, weight, bias)
    order = torch.arange(24).reshape(3, 2, 4).transpose(1, 2).flatten()
    assert order[:8].tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
    found, wanted = own(x.detach(), bias), plain[:, order]
    torch.testing.assert_close(found, wanted.detach(), atol=CLOSE, rtol=CLOSE)
    onward = drawn(7, 24)
    (gradient,) = torch.autograd.grad(wanted, x, onward)
    torch.testing.assert_close(own.backward(onward), gradient, atol=CLOSE, rtol=CLOSE)


def test_a_weight_that_was_written_to_is_packed_again() -> None:
    weight, x = torch.nn.Parameter(drawn(24, 16)), drawn(3, 16)
    own = PrepackedWeight(weight)
    before = own(x, None)
    with torch.no_grad():
        weight.add_(1.0)
        torch.testing.assert_close(own(x, None), F.linear(x, weight))
        weight.data = drawn(24, 16).mul_(2.0)
        torch.testing.assert_close(own(x, None), 2 * before)


def test_a_model_converted_to_float64_uses_plain_products(any_size: None) -> None:
    model = CausalLM(built("tied", torch.float32), None)
    prompts = group(20, [3, 5, 1, 4])
    before = model.next_token_log_probs(prompts)
    model.model.double()
    after = model.next_token_log_probs(prompts)
    np.testing.assert_allclose(after, before, atol=CLOSE)


def test_packed_weights_count_as_memory(any_size: None) -> None:
    model = CausalLM(built("tied", torch.float32), None)
    weights = sum(p.numel() * p.element_size() for p in model.model.parameters())
    assert model.n_bytes == weights
    model.next_token_log_probs(group(20, [3, 5]))
    matrices = [p for p in model.model.parameters() if p.dim() == 2]
    packed = sum(p.numel() * p.element_size() for p in matrices)
    assert model.n_bytes == weights + packed


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("kind", FAMILY)
def test_a_packed_model_answers_as_the_library_does(kind: str) -> None:
    model = built(kind, torch.float32)
    llama = Llama(model)
    assert "model.layers.0.self_attn.q_proj.weight" in llama.prepacked
    with torch.inference_mode():
        answers, _ = ask(llama, GROUPS, {})
    for prompts, found in zip(GROUPS, answers, strict=True):
        logits = torch.stack([wanted(model, p) for p in prompts])
        np.testing.assert_allclose(found[0], torch.log_softmax(logits, -1), atol=CLOSE)


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("n_stacks", [1, 3])
@pytest.mark.parametrize("weights", ["all", "W_V@first", "W_Q@last", "norm@last"])
def test_trained_weights_answer_not_the_packed_ones(
    weights: str, n_stacks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "MIN_TOKENS_TO_PACK", 1)
    model = CausalLM(built("tied", torch.float32), None)
    prompts = group(20, [3, 5, 1, 4])
    model.next_token_log_probs(prompts)  # packs the model's own
    stack = disturbed(parameters_of(model.model, weights), n_stacks)
    together = model.log_probs_of_stack(stack, prompts)
    for place in range(n_stacks):
        with model.tuned({name: w[place] for name, w in stack.items()}):
            plain = model.log_probs_by_library(prompts)
            np.testing.assert_allclose(together[place], plain, atol=CLOSE)


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("n_runs", [1, 3])
@pytest.mark.parametrize("weights", ["all", "W_V@last", "W_K@first", "norm@first"])
@pytest.mark.parametrize("kind", FAMILY)
def test_gradients_of_a_packed_model(kind: str, weights: str, n_runs: int) -> None:
    model = built(kind, torch.float32)
    moving = parameters_of(model, weights)
    backend, stack = (
        LlamaBackend(Llama(model), moving),
        disturbed(moving, n_runs),
    )
    columns, batch = examples(n_runs)
    batch = tuple(t.float() if t.is_floating_point() else t for t in batch)
    if backend.first_layer:
        batch = (*batch, backend.record(batch[0]))
    gradients = unstacked({name: torch.zeros_like(w) for name, w in stack.items()})
    backend.gradients(unstacked(stack), columns, batch, collect_into(gradients))
    for run in range(n_runs):
        own = {name: w[run].clone().requires_grad_() for name, w in stack.items()}
        loss = plain_loss(model, own, columns, *(t[run] for t in batch[:4]))
        theirs = torch.autograd.grad(loss, list(own.values()), materialize_grads=True)
        for name, gradient in zip(own, theirs, strict=True):
            found = gradients[name] if n_runs == 1 else gradients[name][run]
            gap = float((found - gradient).abs().max())
            assert gap <= CLOSE * max(1.0, float(gradient.abs().max())), name


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("weights", ["W_V@last", "W_K@last", "W_O@last"])
def test_recorded_projections_may_start_at_any_offset(weights: str) -> None:
    """Keys are recorded after the 15 numbers of the layer's input."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model: Any = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64, hidden_size=15, intermediate_size=24, num_hidden_layers=2,
            num_attention_heads=3, num_key_value_heads=3, head_dim=8,
        )
    ).eval()  # fmt: skip
    moving = unstacked(disturbed(parameters_of(model, weights), 1))
    backend, gradients = LlamaBackend(Llama(model), moving), dict[str, Tensor]()
    columns, batch = examples(1)
    batch = tuple(t.float() if t.is_floating_point() else t for t in batch)
    backend.gradients(
        moving, columns, (*batch, backend.record(batch[0])), collect_into(gradients)
    )
    own = {name: w.clone().requires_grad_() for name, w in moving.items()}
    loss = plain_loss(model, own, columns, *(t[0] for t in batch))
    theirs = torch.autograd.grad(loss, list(own.values()))
    for found, gradient in zip(gradients.values(), theirs, strict=True):
        torch.testing.assert_close(found, gradient, atol=CLOSE, rtol=CLOSE)


@pytest.mark.parametrize("why", ["float64", "size", "operators"])
def test_products_are_plain_if_packing_is_not_possible(
    why: str, any_size: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "size":
        monkeypatch.setattr(prepacked_linear, "MAX_BYTES", 1 << 10)
    if why == "operators":
        monkeypatch.setattr(prepacked_linear, "has_packing_operators", lambda: False)
    dtype = torch.float64 if why == "float64" else torch.float32
    assert Llama(built("tied", dtype)).prepacked == {}
