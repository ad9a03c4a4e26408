"""The Llama family written out answers and learns as the library's own modules do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from probes.models.architectures import PARAMETER_ROLES
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.llama import inference, rms_norm
from probes.models.llama.inference import ask, written_out
from probes.models.llama.model import Llama, picked
from probes.models.llama.packed_sequences import Blocks
from probes.models.llama.prefix_attention import Forest
from probes.models.llama.prefix_tree import tree_of
from probes.models.llama.ragged import RaggedRows
from probes.models.llama.rotary import Turns
from probes.models.training.label_loss import Taught
from probes.models.weights.gradients import Gradient, formed
from probes.models.weights.parameter_groups import parameters_of
from probes.models.weights.stacks import unstacked
from tests.support.gradient_takers import into
from tests.support.llamas import (
    FAMILY,
    GROUPS,
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
    llama, tree = Llama(model), tree_of(0, prompts)
    forest = Forest.of([tree], torch.device("cpu"))
    with torch.no_grad():
        logits = llama.logits(llama.embed(forest.ids, {}), forest, {})[0]
    return logits[torch.argsort(torch.tensor(tree.places))]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("kind", FAMILY)
def test_prompts_in_a_forest_are_answered_as_whole_prompts(
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
    monkeypatch.setitem(inference.TOKENS_A_PASS, "cpu", most)
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


@pytest.mark.parametrize("n_trials", [1, 3])
@pytest.mark.parametrize("weights", ["all", *SUBMODELS])
@pytest.mark.parametrize("kind", FAMILY)
def test_gradients_are_those_of_the_library_s_modules(
    kind: str, weights: str, n_trials: int
) -> None:
    model = built(kind)
    moving = parameters_of(model, weights)
    taught, stack = Taught(Llama(model), moving), disturbed(moving, n_trials)
    columns, batch = examples(n_trials)
    if taught.start:
        batch = (*batch, taught.record(batch[0]))
    gradients = unstacked({name: torch.zeros_like(w) for name, w in stack.items()})
    losses = taught.teach(unstacked(stack), columns, batch, into(gradients))
    for trial in range(n_trials):
        own = {name: w[trial].clone().requires_grad_() for name, w in stack.items()}
        loss = plain_loss(model, own, columns, *(t[trial] for t in batch[:4]))
        theirs = torch.autograd.grad(loss, list(own.values()), materialize_grads=True)
        assert float((losses[trial] - loss).detach().abs()) <= 1e-10
        for name, gradient in zip(own, theirs, strict=True):
            found = gradients[name] if n_trials == 1 else gradients[name][trial]
            assert float((found - gradient).abs().max()) <= 1e-10, name


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
    plain, _ = rms_norm.normed(asked, 1e-3)
    (wanted,) = torch.autograd.grad(plain, asked, onward)
    found = rms_norm.back(onward.clone(), x, *rms_norm.normed(x, 1e-3))
    torch.testing.assert_close(found, wanted, atol=close, rtol=close)


def test_turning_by_complex_numbers_changes_no_score() -> None:
    torch.manual_seed(0)
    angles = torch.randn(1, 9, 4).repeat(1, 1, 2)
    heads = torch.randn(2, 2, 9, 3, 8)
    turns = Turns.of(angles.cos(), angles.sin())

    def plainly(x: Tensor) -> Tensor:
        swapped = torch.cat((-x[..., 4:], x[..., :4]), dim=-1)
        return x * angles.cos()[:, :, None] + swapped * angles.sin()[:, :, None]

    scores = [
        torch.einsum("snhd,smhd->shnm", *map(turn, heads))
        for turn in (turns.turn, plainly)
    ]
    torch.testing.assert_close(*scores)
    onward, x = heads
    forth, back = (turns.turn(x) * onward).sum(), (turns.back(onward) * x).sum()
    torch.testing.assert_close(forth, back)


@pytest.mark.parametrize("n_trials", [1, 3])
def test_weights_may_move_as_soon_as_their_gradient_is_there(n_trials: int) -> None:
    model = built("tied")
    stack = unstacked(disturbed(parameters_of(model, "all"), n_trials))
    taught, lesson = Taught(Llama(model), stack), examples(n_trials)
    still, moved = dict[str, Tensor](), dict[str, Tensor]()
    taught.teach(stack, *lesson, into(still))

    def move(name: str, gradient: Gradient) -> None:
        moved[name] = formed(gradient).clone()
        stack[name].add_(100.0)

    taught.teach(stack, *lesson, move)
    for name, gradient in still.items():
        torch.testing.assert_close(moved[name], gradient, atol=1e-10, rtol=0)


@pytest.mark.parametrize("in_one_line", [False, True])
def test_blocks_give_back_what_was_laid_out(in_one_line: bool) -> None:
    lengths = torch.tensor([[3, 1], [2, 5], [4, 4]])
    reads = lengths[..., None] - 1
    blocks = Blocks.of(lengths, reads, in_one_line=in_one_line)
    padded = torch.arange(3 * 2 * 6).reshape(3, 2, 6)
    line = blocks.line_up(padded)
    assert line.shape == ((1, 19) if in_one_line else (3, 8))
    own = [
        torch.cat([example[:n] for example, n in zip(examples, ends, strict=True)])
        for examples, ends in zip(padded, lengths.tolist(), strict=True)
    ]
    apart = blocks.apart(line, of_rows=False)
    for tokens, kept in zip(apart, own, strict=True):
        assert torch.equal(tokens[: len(kept)], kept)
        assert bool((tokens[len(kept) :] == kept[-1]).all())
    assert torch.equal(blocks.together(apart, of_rows=False), line)
    found = picked(line[..., None], blocks.rows)
    rows = blocks.apart(found, of_rows=True)
    assert torch.equal(rows[..., 0], padded.gather(2, reads)[..., 0])
    assert torch.equal(blocks.together(rows, of_rows=True), found)


@pytest.mark.parametrize("weights", ["all", "W_V@first"])
def test_no_step_takes_the_layout_of_another(weights: str) -> None:
    model = built("grouped_queries")
    stack = disturbed(parameters_of(model, weights), 3)
    columns, batch = examples(3)
    swapped = tuple(torch.cat((t[:1], t[1:].flip(1))) for t in batch)
    taught = Taught(Llama(model), stack)
    for lesson in (batch, swapped, batch):
        found, alone = dict[str, Tensor](), dict[str, Tensor]()
        taught.losses(stack, columns, lesson)
        taught.teach(stack, columns, lesson, into(found))
        Taught(Llama(model), stack).teach(stack, columns, lesson, into(alone))
        for name, gradient in alone.items():
            assert torch.equal(found[name], gradient)


@pytest.mark.parametrize(
    ("weights", "n_computed"),
    [("W_V@last", 0), ("W_K@last", 1), ("W_O@last", 0), ("norm@last", 2)],
)
def test_what_stays_of_the_lowest_layer_is_computed_once(
    weights: str, n_computed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the keys and values of all tokens; a stack of W_V is applied late."""
    model = built("grouped_queries")
    moving = parameters_of(model, weights)
    taught, stack = Taught(Llama(model), moving), disturbed(moving, 3)
    columns, batch = examples(3)
    batch = (*batch, taught.record(batch[0]))
    computed, linear = list[str](), Llama.linear

    def noted(llama: Llama, x: Tensor, name: str, weights: Any) -> Tensor:
        computed.append(name)
        return linear(llama, x, name, weights)

    monkeypatch.setattr(Llama, "linear", noted)
    taught.teach(stack, columns, batch, into({}))
    assert sum(n.endswith(("k_proj", "v_proj")) for n in computed) == n_computed


@pytest.mark.parametrize("weights", ["all", "W_V@first", "W_K@last"])
def test_a_trial_that_explodes_leaves_the_others_alone(weights: str) -> None:
    model = built("grouped_queries")
    moving = parameters_of(model, weights)
    taught, stack = Taught(Llama(model), moving), disturbed(moving, 3)
    columns, batch = examples(3)
    if taught.start:
        batch = (*batch, taught.record(batch[0]))

    def gradients() -> dict[str, Tensor]:
        found = dict[str, Tensor]()
        losses = taught.teach(stack, columns, batch, into(found))
        return {"losses": losses, **found}

    wanted = {name: g.clone() for name, g in gradients().items()}
    for weight in stack.values():
        weight[2] = float("nan")
    for name, gradient in gradients().items():
        assert not torch.isfinite(gradient[2]).all()
        for other in (0, 1):
            torch.testing.assert_close(gradient[other], wanted[name][other])


@pytest.mark.parametrize("kind", OTHERS)
def test_other_architectures_go_the_library_s_way(kind: str) -> None:
    assert written_out(built(kind)) is None


def spoil_scale(model: Any) -> None:
    for layer in model.model.layers:
        layer.self_attn.scaling *= 3


def spoil_norm(model: Any) -> None:
    model.model.norm.variance_epsilon = 1.0


@pytest.mark.parametrize("spoil", [spoil_scale, spoil_norm])
def test_a_variation_that_nobody_knows_of_is_noticed(
    spoil: Callable[[Any], None],
) -> None:
    model = built("grouped_queries")
    assert written_out(model) is not None
    spoil(model)
    assert written_out(model) is None


def test_keys_of_a_beginning_are_kept_once() -> None:
    """Not once for each prompt: memory does not grow with the queries."""
    model = built("grouped_queries")
    trees = [tree_of(0, group(30, [2] * 40))]
    forest = Forest.of(trees, torch.device("cpu"))
    llama = Llama(model)
    with torch.no_grad():
        llama.logits(llama.embed(forest.ids, {}), forest, {})
    assert {tuple(k.shape) for k, _ in forest.kept.values()} == {(1, 1, 30, 2, 8)}


def test_a_grid_gives_back_what_it_spread() -> None:
    grid = RaggedRows.of(torch.tensor([[3, 1], [2, 3]]))
    tokens = torch.randn(2, 9, 4)
    spread = grid.pad(tokens)
    assert spread.shape == (2, 2, 2, 3, 4)
    assert torch.equal(grid.unpad(spread.flatten(1, 3)), tokens)
