"""What is read of self-attention is what every architecture computed."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from probes.errors import ModelError, OptionError
from probes.models.architecture_description import ATTENTION_MATRICES
from probes.models.attention_weights import attention_matrices
from probes.models.causal_lm.all_layers_patch import all_layers_patch_errors
from probes.models.causal_lm.attention_hooks import AttentionRecorder
from probes.models.causal_lm.implicit_weight_update import patch_errors
from probes.models.weights.weight_parts import parts_of
from tests.support.zoo import (
    CAUSAL,
    PROMPTS,
    able,
    architecture,
    built,
    loaded,
    plain_logits,
    why_not,
)

ALIBI_SLOPES = {"bloom": 1.0, "falcon_alibi": 2 * 8**-0.5, "mpt": 1.0}
"""The factor of 2^(−2 head) per token, for four heads. Falcon's eager function, which
the model does not use of itself, adds the bias twice."""
FACTORS = {"gpt_neo": 8**0.5}
"""The model's factor of q·k over 1/√d_head, where it has another and states it not."""
SOFT_CAPS = {"gemma2": 2.0}


def read(name: str) -> list[Any]:
    with AttentionRecorder(loaded(name)) as recorder:
        return recorder.read(PROMPTS)


def passing(model: Any, name: str, prompt: list[int]) -> tuple[Tensor, Tensor]:
    """Read inputs (layer, token, d) and outputs (layer, d) of a plain pass."""
    described, entering, leaving = architecture(name), list[Tensor](), list[Tensor]()
    assert described is not None

    def enter(_: Any, arguments: Any, keywords: Any) -> None:
        entering.append((arguments or [keywords["hidden_states"]])[0][0])

    def leave(_: Any, __: Any, output: Tensor) -> None:
        leaving.append(output[0, -1])

    hooks = []
    for layer in described.layers_of(model):
        attention = layer.get_submodule(described.attention)
        hooks.append(attention.register_forward_pre_hook(enter, with_kwargs=True))
        out = attention.get_submodule(described.W_O)
        hooks.append(out.register_forward_hook(leave))
    plain_logits(model, prompt)
    for hook in hooks:
        hook.remove()
    return torch.stack(entering), torch.stack(leaving)


@pytest.mark.parametrize("name", able("attention"))
def test_inputs_and_outputs_are_those_of_the_plain_pass(name: str) -> None:
    for prompt, found in zip(PROMPTS, read(name), strict=True):
        inputs, outputs = passing(loaded(name).model, name, prompt)
        for ours, theirs in ((found.inputs, inputs), (found.outputs, outputs)):
            assert float((ours - theirs).norm() / theirs.norm()) < 1e-5


@pytest.mark.parametrize("name", able("attention"))
def test_scores_become_the_attention_that_the_library_reports(name: str) -> None:
    eager = built(name, attention="eager")
    for prompt, found in zip(PROMPTS, read(name), strict=True):
        with torch.no_grad():
            ids = torch.tensor([prompt])
            weights = eager(ids, output_attentions=True, use_cache=False).attentions
        n_layers = 1 if name == "falcon_alibi" else len(weights)  # see ALIBI_SLOPES
        layers = list(zip(found.scores, weights, strict=True))[:n_layers]
        for scores, reported in layers:
            logs = reported[0, :, -1].log()
            seen = torch.isfinite(logs)  # a sliding window hides the others
            apart = torch.where(seen, attended(name, scores) - logs, torch.nan)
            mean = apart.nanmean(dim=-1, keepdim=True)  # softmax knows no constant
            assert float((apart - mean)[seen].abs().max()) < 1e-4


def attended(name: str, scores: Tensor) -> Tensor:
    """Do to q·k/√d_head what the architecture does before softmax."""
    scores = FACTORS.get(name, 1.0) * scores
    if name in SOFT_CAPS:
        return SOFT_CAPS[name] * torch.tanh(scores / SOFT_CAPS[name])
    if name not in ALIBI_SLOPES:
        return scores
    slopes = ALIBI_SLOPES[name] * 4.0 ** -torch.arange(1, scores.shape[0] + 1)
    return scores + slopes[:, None] * torch.arange(scores.shape[-1])


@pytest.mark.parametrize("name", [n for n in CAUSAL if why_not(n, "attention")])
def test_attention_that_cannot_be_read_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=r"has self-attention|is not described"):
        read(name)


def cached(model: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Read the first layer's keys and values, and the logits at the end."""
    with torch.no_grad():
        answer = model(torch.tensor([PROMPTS[1]]), use_cache=True)
    layer = answer.past_key_values.layers[0]
    return layer.keys.clone(), layer.values.clone(), answer.logits[0, -1].clone()


@pytest.mark.parametrize("role", ATTENTION_MATRICES)
@pytest.mark.parametrize("name", able("attention matrices"))
def test_a_matrix_makes_what_it_is_named_for(name: str, role: str) -> None:
    """W_K moves every cached key and no value, W_V the reverse, others neither."""
    model = built(name)
    before = cached(model)
    (part,) = parts_of(model, f"{role}@first")
    p = model.get_parameter(part.name)
    torch.manual_seed(3)
    p.copy_(part.write(p, part.read(p) + 0.1 * torch.randn_like(part.read(p))))
    keys, values, logits = (
        (now - was).abs() for now, was in zip(cached(model), before, strict=True)
    )
    assert logits.max() > 1e-3
    for moved, mover in ((keys, "W_K"), (values, "W_V")):
        if role == mover:  # at every token, in every head and dimension
            assert moved[0].transpose(0, 1).flatten(1).amax(0).min() > 1e-4
        else:
            assert moved.max() == 0


@pytest.mark.parametrize("name", able("attention matrices"))
def test_the_parts_of_a_matrix_are_all_of_it_and_do_not_overlap(name: str) -> None:
    model = loaded(name).model
    parts = parts_of(model, "lora@first")
    assert {part.matrix for part in parts} == set(ATTENTION_MATRICES)
    marked: dict[str, Tensor] = {}
    for part in parts:
        zero = torch.zeros_like(model.get_parameter(part.name))
        whole = marked.get(part.name, zero)
        marked[part.name] = part.write(whole, part.read(whole) + 1)
    assert all(bool((whole == 1).all()) for whole in marked.values())


@pytest.mark.parametrize("name", able("attention matrices"))
def test_products_of_matrices_make_scores_and_outputs(name: str) -> None:
    lm = loaded(name)
    W_Q, W_K, W_V, pairs, carried = next(iter(attention_matrices(lm)))
    (out,) = (p.read(lm.model.get_parameter(p.name)) for p in _W_O(lm.model))
    d_head = W_Q.shape[1] // 4
    for head, (pair, moved) in enumerate(zip(pairs, carried, strict=True)):
        own = slice(head * d_head, (head + 1) * d_head)
        shared = head * W_K.shape[1] // W_Q.shape[1] * d_head
        of_key = slice(shared, shared + d_head)
        torch.testing.assert_close(pair, W_K[0][of_key].T @ W_Q[0][own])
        torch.testing.assert_close(moved, out[:, own] @ W_V[0][of_key])


_W_O = partial(parts_of, weights="W_O@first")


@pytest.mark.parametrize("name", [n for n in CAUSAL if why_not(n, "W_V")])
def test_a_matrix_that_an_architecture_has_not_is_refused(name: str) -> None:
    for ask in (
        partial(parts_of, weights="W_V@all"),
        partial(parts_of, weights="lora@all"),
    ):
        with pytest.raises((OptionError, ModelError), match=r"no matrix|not described"):
            ask(loaded(name).model)
    with pytest.raises((OptionError, ModelError), match=r"no matrix|not described"):
        list(attention_matrices(loaded(name)))


N_OWN = [3, 3, 2, 4]


@pytest.mark.parametrize("name", able("context patch"))
def test_a_rank_one_patch_is_exact_and_has_an_effect_to_match(name: str) -> None:
    errors = patch_errors(loaded(name, torch.float64), PROMPTS, N_OWN)
    assert errors[..., 1].min() > 1e-3
    assert (errors[..., 0] / errors[..., 1]).max() < 1e-10


def test_rounding_is_no_effect_where_windows_hide_the_context() -> None:
    """Every layer attends to 8 tokens, fewer than the query has of its own."""
    with pytest.raises(ModelError, match="in no layer of Mistral"):
        patch_errors(loaded("mistral"), PROMPTS[1:2], [10])


@pytest.mark.parametrize("name", able("context patch"))
def test_the_effect_is_that_of_reading_the_query_alone_at_its_place(name: str) -> None:
    """In the first layer, whose input knows no context yet."""
    lm, described = loaded(name, torch.float64), architecture(name)
    assert described is not None
    (first, *_), ends = described.modules_of(lm.model, described.mlp[0]), list[Tensor]()
    reading = first.register_forward_pre_hook(
        lambda _, given: ends.append(given[0].reshape(-1, given[0].shape[-1])[-1])
    )
    prompt, own = PROMPTS[1], PROMPTS[1][-4:]
    at = torch.arange(len(prompt) - 4, len(prompt))[None]
    with torch.no_grad():
        lm.model(torch.tensor([prompt]), use_cache=False)
        lm.model(torch.tensor([own]), position_ids=at, use_cache=False)
    reading.remove()
    with_context, alone = ends
    modules = [described.modules_of(lm.model, part)[0] for part in described.mlp]

    def mlp(x: Tensor) -> Tensor:
        takes_residual = name in ("bloom", "mpt")
        for module in modules:
            x = module(x, 0 * x) if takes_residual else module(x)
        return x

    effect = (mlp(with_context) - mlp(alone)).norm()
    (found,) = patch_errors(lm, [prompt], [4])
    torch.testing.assert_close(found[0, 1], effect, rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", [n for n in CAUSAL if why_not(n, "context patch")])
def test_a_layer_without_context_before_its_mlp_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="rank-one patch|is not described"):
        patch_errors(loaded(name), PROMPTS, N_OWN)


@pytest.mark.parametrize("name", able("all-layers patch"))
def test_rank_one_patches_of_all_layers_are_exact(name: str) -> None:
    pairs = [(prompt, prompt[-n:]) for prompt, n in zip(PROMPTS, N_OWN, strict=True)]
    errors = all_layers_patch_errors(loaded(name, torch.float64), pairs)
    assert errors[..., 1].min() > 1e-3
    assert (errors[..., 0] / errors[..., 1]).max() < 1e-10


@pytest.mark.parametrize("name", [n for n in CAUSAL if why_not(n, "all-layers patch")])
def test_other_layers_are_refused_patches_of_all(name: str) -> None:
    with pytest.raises(ModelError, match="gated MLPs behind RMS norms|not described"):
        all_layers_patch_errors(loaded(name), [(PROMPTS[0], PROMPTS[0][-3:])])
