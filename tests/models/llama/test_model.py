"""The written-out Llama family answers and trains as the library's modules do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from probes.models.architecture_description import PARAMETER_ROLES
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.llama import inference, rms_norm
from probes.models.llama.axes import select_tokens
from probes.models.llama.inference import ask, llama_if_equivalent
from probes.models.llama.model import Llama
from probes.models.llama.packed_sequences import PackedSequences
from probes.models.llama.prefix_attention import PrefixAttention
from probes.models.llama.prefix_tree import build_prefix_tree
from probes.models.llama.ragged import RaggedRows
from probes.models.llama.rotary import RotaryAngles
from probes.models.training.llama_backend import LlamaBackend
from probes.models.weights.gradients import Gradient, materialize
from probes.models.weights.parameter_groups import parameters_of
from probes.models.weights.stacks import unstacked
from tests.support.gradient_receivers import collect_into
from tests.support.llamas import (
    FAMILY,
    GROUPS,
    ROUNDED_SCALES,
    TOLERANCE,
    built,
    disturbed,
    examples,
    group,
    plain_loss,
    wanted,
)

OTHERS = ["neox", "gptj"]


def found(model: Any, prompts: list[list[int]]) -> Tensor:
    """Answer one group in the model's own precision, in the order of its prompts."""
    llama, tree = Llama(model), build_prefix_tree(0, prompts)
    attention = PrefixAttention.of([tree], torch.device("cpu"))
    with torch.no_grad():
        logits = llama.logits(llama.embed(attention.layout.ids, {}), attention, {})[0]
    return logits[torch.argsort(torch.tensor(tree.indices))]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("kind", FAMILY)
def test_prompts_in_a_prefix_tree_are_answered_as_whole_prompts(
    kind: str, dtype: torch.dtype
) -> None:
    model = built(kind, dtype)
    for prompts in GROUPS:
        theirs = torch.stack([wanted(model, p) for p in prompts])
        gap = (found(model, prompts) - theirs).abs().max()
        assert float(gap) <= TOLERANCE[dtype]


@pytest.mark.parametrize("most", [1, 12, 50, 4096])
@pytest.mark.parametrize("kind", ["grouped_queries", "sliding"])
def test_passes_may_be_cut_anywhere(
    kind: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(inference.TOKENS_PER_PASS, "cpu", most)
    model = built(kind)
    with torch.inference_mode():
        answers, n_passes = ask(Llama(model), GROUPS, {})
    assert (n_passes == 1) == (most == 4096)
    for prompts, theirs in zip(GROUPS, answers, strict=True):
        logits = torch.stack([wanted(model, p) for p in prompts])
        log_probs = torch.log_softmax(logits, -1)
        np.testing.assert_allclose(theirs[0], log_probs, atol=2e-6)


@pytest.mark.parametrize("kind", [*FAMILY, *OTHERS])
def test_left_padding_says_the_same(kind: str) -> None:
    """Batches padded on the left, as generation has them, are the same prompts."""
    model, prompts = built(kind), group(12, [3, 9, 1, 4])
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts])
    seen = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
    places = (seen.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        logits = model(ids, attention_mask=seen, position_ids=places).logits[:, -1]
    ours = CausalLM(model, None).next_token_log_probs(prompts)
    np.testing.assert_allclose(ours, torch.log_softmax(logits, -1), atol=2e-6)


@pytest.mark.parametrize("weights", ["all", "W_V@first", "W_Q@last", "W_K@last"])
@pytest.mark.parametrize("kind", FAMILY)
def test_a_stack_of_weights_answers_as_each_alone(kind: str, weights: str) -> None:
    model = CausalLM(built(kind), None)
    stack = disturbed(parameters_of(model.model, weights))
    prompts = group(20, [3, 5, 1, 4])
    together = model.log_probs_of_stack(stack, prompts)
    for place in range(3):
        with model.tuned({name: w[place] for name, w in stack.items()}):
            plain = model.log_probs_by_library(prompts)
        np.testing.assert_allclose(together[place], plain, atol=2e-6)


SUBMODELS = [
    f"{role}@{place}" for role in PARAMETER_ROLES for place in ("first", "last")
]


@pytest.mark.parametrize("n_runs", [1, 3])
@pytest.mark.parametrize("weights", ["all", *SUBMODELS])
@pytest.mark.parametrize("kind", FAMILY)
def test_gradients_are_those_of_the_library_s_modules(
    kind: str, weights: str, n_runs: int
) -> None:
    model = built(kind)
    moving = parameters_of(model, weights)
    backend, stack = LlamaBackend(Llama(model), moving), disturbed(moving, n_runs)
    columns, batch = examples(n_runs)
    if backend.first_layer:
        batch = (*batch, backend.record(batch[0]))
    gradients = unstacked({name: torch.zeros_like(w) for name, w in stack.items()})
    losses = backend.gradients(
        unstacked(stack), columns, batch, collect_into(gradients)
    )
    for run in range(n_runs):
        own = {name: w[run].clone().requires_grad_() for name, w in stack.items()}
        loss = plain_loss(model, own, columns, *(t[run] for t in batch[:4]))
        theirs = torch.autograd.grad(loss, list(own.values()), materialize_grads=True)
        assert float((losses[run] - loss).detach().abs()) <= 1e-10
        for name, gradient in zip(own, theirs, strict=True):
            found = gradients[name] if n_runs == 1 else gradients[name][run]
            is_rounded = kind in ROUNDED_SCALES and "norm" in name
            close = 1e-7 if is_rounded else 1e-10
            assert float((found - gradient).abs().max()) <= close, name


@pytest.mark.parametrize(
    ("dtype", "close"),
    [(torch.float64, 1e-12), (torch.float32, 1e-6), (torch.bfloat16, 2e-2)],
    ids=str,
)
def test_normalising_has_the_gradient_of_the_formula(
    dtype: torch.dtype, close: float
) -> None:
    torch.manual_seed(0)
    x, onward = torch.randn(2, 2, 5, 16).to(dtype)
    asked = x.clone().requires_grad_()
    plain, _ = rms_norm.rms_normalize(asked, 1e-3)
    (wanted,) = torch.autograd.grad(plain, asked, onward)
    found = rms_norm.rms_normalize_backward(
        onward.clone(), x, *rms_norm.rms_normalize(x, 1e-3)
    )
    torch.testing.assert_close(found, wanted, atol=close, rtol=close)


def test_rotating_complex_numbers_changes_no_score() -> None:
    torch.manual_seed(0)
    theta = torch.randn(1, 9, 4).repeat(1, 1, 2)
    heads = torch.randn(2, 2, 9, 3, 8)
    angles = RotaryAngles.of(theta.cos(), theta.sin(), query_scale=1.0)

    def plainly(x: Tensor) -> Tensor:
        swapped = torch.cat((-x[..., 4:], x[..., :4]), dim=-1)
        return x * theta.cos()[:, :, None] + swapped * theta.sin()[:, :, None]

    scores = [
        torch.einsum("snhd,smhd->shnm", *map(rotate, heads))
        for rotate in (angles.rotate, plainly)
    ]
    torch.testing.assert_close(*scores)
    onward, x = heads
    forward = (angles.rotate(x) * onward).sum()
    backward = (angles.rotate_backward(onward) * x).sum()
    torch.testing.assert_close(forward, backward)


@pytest.mark.parametrize("n_runs", [1, 3])
def test_weights_may_move_as_soon_as_their_gradient_is_there(n_runs: int) -> None:
    model = built("tied")
    stack = unstacked(disturbed(parameters_of(model, "all"), n_runs))
    backend, lesson = LlamaBackend(Llama(model), stack), examples(n_runs)
    still, moved = dict[str, Tensor](), dict[str, Tensor]()
    backend.gradients(stack, *lesson, collect_into(still))

    def move(name: str, gradient: Gradient) -> None:
        moved[name] = materialize(gradient).clone()
        stack[name].add_(100.0)

    backend.gradients(stack, *lesson, move)
    for name, gradient in still.items():
        torch.testing.assert_close(moved[name], gradient, atol=1e-10, rtol=0)


@pytest.mark.parametrize("in_one_line", [False, True])
def test_packed_sequences_give_back_what_was_packed(in_one_line: bool) -> None:
    lengths = torch.tensor([[3, 1], [2, 5], [4, 4]])
    reads = lengths[..., None] - 1
    packed = PackedSequences.of(lengths, reads, in_one_line=in_one_line)
    padded = torch.arange(3 * 2 * 6).reshape(3, 2, 6)
    line = packed.pack(padded)
    assert line.shape == ((1, 19) if in_one_line else (3, 8))
    own = [
        torch.cat([example[:n] for example, n in zip(examples, ends, strict=True)])
        for examples, ends in zip(padded, lengths.tolist(), strict=True)
    ]
    stacks = packed.by_stack(line, of_rows=False)
    for tokens, kept in zip(stacks, own, strict=True):
        assert torch.equal(tokens[: len(kept)], kept)
        assert bool((tokens[len(kept) :] == kept[-1]).all())
    assert torch.equal(packed.in_lines(stacks, of_rows=False), line)
    found = select_tokens(line[..., None], packed.rows)
    rows = packed.by_stack(found, of_rows=True)
    assert torch.equal(rows[..., 0], padded.gather(2, reads)[..., 0])
    assert torch.equal(packed.in_lines(rows, of_rows=True), found)


@pytest.mark.parametrize("weights", ["all", "W_V@first"])
def test_no_step_takes_the_layout_of_another(weights: str) -> None:
    model = built("grouped_queries")
    stack = disturbed(parameters_of(model, weights), 3)
    columns, batch = examples(3)
    swapped = tuple(torch.cat((t[:1], t[1:].flip(1))) for t in batch)
    backend = LlamaBackend(Llama(model), stack)
    for lesson in (batch, swapped, batch):
        found, alone = dict[str, Tensor](), dict[str, Tensor]()
        backend.gradients(stack, columns, lesson, collect_into(found))
        LlamaBackend(Llama(model), stack).gradients(
            stack, columns, lesson, collect_into(alone)
        )
        for name, gradient in alone.items():
            assert torch.equal(found[name], gradient)


@pytest.mark.parametrize(
    ("weights", "n_computed"),
    [("W_V@last", 0), ("W_K@last", 1), ("W_O@last", 0), ("norm@last", 2)],
)
def test_frozen_projections_of_the_lowest_layer_are_computed_once(
    weights: str, n_computed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts key and value projections; a stack of W_V is applied after attention."""
    model = built("grouped_queries")
    moving = parameters_of(model, weights)
    backend, stack = LlamaBackend(Llama(model), moving), disturbed(moving, 3)
    columns, batch = examples(3)
    batch = (*batch, backend.record(batch[0]))
    computed, linear = list[str](), Llama.linear

    def noted(llama: Llama, x: Tensor, name: str, weights: Any) -> Tensor:
        computed.append(name)
        return linear(llama, x, name, weights)

    monkeypatch.setattr(Llama, "linear", noted)
    backend.gradients(stack, columns, batch, collect_into({}))
    assert sum(n.endswith(("k_proj", "v_proj")) for n in computed) == n_computed


@pytest.mark.parametrize("weights", ["all", "W_V@first", "W_K@last"])
def test_a_trial_that_explodes_leaves_the_others_alone(weights: str) -> None:
    model = built("grouped_queries")
    moving = parameters_of(model, weights)
    backend, stack = LlamaBackend(Llama(model), moving), disturbed(moving, 3)
    columns, batch = examples(3)
    if backend.first_layer:
        batch = (*batch, backend.record(batch[0]))

    def gradients() -> dict[str, Tensor]:
        found = dict[str, Tensor]()
        losses = backend.gradients(stack, columns, batch, collect_into(found))
        return {"losses": losses, **found}

    wanted = {name: g.clone() for name, g in gradients().items()}
    for weight in stack.values():
        weight[2] = float("nan")
    for name, gradient in gradients().items():
        assert not torch.isfinite(gradient[2]).all()
        for other in (0, 1):
            torch.testing.assert_close(gradient[other], wanted[name][other])


@pytest.mark.parametrize("kind", OTHERS)
def test_other_architectures_are_not_written_out(kind: str) -> None:
    assert llama_if_equivalent(built(kind)) is None


def spoil_scale(model: Any) -> None:
    for layer in model.model.layers:
        layer.self_attn.scaling *= 3


def spoil_norm(model: Any) -> None:
    model.model.norm.variance_epsilon = 1.0


@pytest.mark.parametrize("spoil", [spoil_scale, spoil_norm])
def test_an_unknown_variation_of_the_model_is_noticed(
    spoil: Callable[[Any], None],
) -> None:
    model = built("grouped_queries")
    assert llama_if_equivalent(model) is not None
    spoil(model)
    assert llama_if_equivalent(model) is None


def test_keys_of_a_prefix_are_cached_once() -> None:
    """Not once for each prompt: memory does not grow with the queries."""
    model = built("grouped_queries")
    trees = [build_prefix_tree(0, group(30, [2] * 40))]
    attention = PrefixAttention.of(trees, torch.device("cpu"))
    llama = Llama(model)
    with torch.no_grad():
        llama.logits(llama.embed(attention.layout.ids, {}), attention, {})
    assert {tuple(k.shape) for k, _ in attention.cache.values()} == {(1, 1, 30, 2, 8)}


def test_a_grid_gives_back_what_it_spread() -> None:
    grid = RaggedRows.of(torch.tensor([[3, 1], [2, 3]]))
    tokens = torch.randn(2, 9, 4)
    spread = grid.pad(tokens)
    assert spread.shape == (2, 2, 2, 3, 4)
    assert torch.equal(grid.unpad(spread.flatten(1, 3)), tokens)
