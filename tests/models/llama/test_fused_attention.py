"""Fused attention to a stem and to a leaf, joined, is attention to both."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from probes.models.llama import fused_attention
from probes.models.llama import prefix_attention as forests
from probes.models.llama.fused_attention import attended, joined
from probes.models.llama.model import Llama
from probes.models.llama.prefix_attention import Forest
from probes.models.llama.prefix_tree import tree_of
from probes.models.weights.parameter_groups import parameters_of
from tests.support.llamas import TOLERANCE, built, disturbed, group

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu"),
    reason="this torch does not hand out attention's mass",
)
ONE_STEM = [group(30, [3, 9, 1, 4])]
LIKE_STEMS = [group(30, [3, 9, 1, 4], seed) for seed in (0, 1, 2)]
UNLIKE_STEMS = [group(30, [3, 9, 1, 4]), group(21, [2, 2, 7, 1], 1)]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("stacked", [(1, 1, 1), (3, 3, 3), (3, 1, 1), (1, 3, 1)])
def test_two_parts_joined_are_the_whole(
    stacked: tuple[int, int, int], dtype: torch.dtype
) -> None:
    """Six tokens each see all of ten keys, and of their own as many as themselves."""
    torch.manual_seed(0)
    query, *both = (
        torch.randn(n, 2, length, heads, 8, dtype=dtype)
        for n, length, heads in zip(stacked, (6, 16, 16), (4, 2, 2), strict=True)
    )
    there, own = ([t[:, :, part] for t in both] for part in (slice(10), slice(10, 16)))
    found = joined(
        *attended(query, *own, causal=True), *attended(query, *there, causal=False)
    )
    key, value = (t.repeat_interleave(2, dim=3) for t in both)
    scores = torch.einsum("srihd,srjhd->srhij", query, key)
    later = torch.ones(6, 16, dtype=torch.bool).triu(11)
    weights = scores.masked_fill(later, float("-inf")).softmax(-1)
    wanted = torch.einsum("srhij,srjhd->srihd", weights, value)
    torch.testing.assert_close(found, wanted, atol=TOLERANCE[dtype], rtol=0)


def logits(
    model: Any, prompts: list[list[list[int]]], weights: dict[str, Tensor]
) -> Tensor:
    llama, device = Llama(model), torch.device("cpu")
    forest = Forest.of([tree_of(i, p) for i, p in enumerate(prompts)], device)
    with torch.no_grad():
        return llama.logits(llama.embed(forest.ids, weights), forest, weights)


@pytest.mark.parametrize("weights", ["none", "all", "W_V@first", "W_K@last"])
@pytest.mark.parametrize("prompts", [ONE_STEM, LIKE_STEMS, UNLIKE_STEMS])
@pytest.mark.parametrize("kind", ["grouped_queries", "sliding", "qwen"])
def test_a_forest_answers_alike_fused_and_not(
    kind: str,
    prompts: list[list[list[int]]],
    weights: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, stack = built(kind), dict[str, Tensor]()
    if weights != "none":
        stack = disturbed(parameters_of(model, weights))
    found, calls = logits(model, prompts, stack), counted(monkeypatch)
    torch.testing.assert_close(logits(model, prompts, stack), found)
    n_fused = len(calls)
    monkeypatch.setattr(forests, "is_fused", lambda _: False)
    plain = logits(model, prompts, stack)
    assert len(calls) == n_fused
    torch.testing.assert_close(found, plain, atol=1e-10, rtol=0)
    # Every layer that computes all tokens, unless a window or padding hides the stem.
    n_all = 0 if kind == "sliding" or prompts is UNLIKE_STEMS else 1
    assert n_fused == 2 * n_all


@pytest.mark.parametrize(("window", "n_fused"), [(38, 0), (39, 2)])
def test_a_window_that_hides_one_token_is_not_overlooked(
    window: int, n_fused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest prompt has 39 tokens."""
    model, calls = built("sliding"), counted(monkeypatch)
    model.config.sliding_window = window
    found = logits(model, ONE_STEM, {})
    assert len(calls) == n_fused
    monkeypatch.setattr(forests, "is_fused", lambda _: False)
    torch.testing.assert_close(found, logits(model, ONE_STEM, {}), atol=1e-10, rtol=0)


@pytest.mark.parametrize("causal", [False, True])
def test_scores_that_overflow_are_not_taken_for_no_mass(causal: bool) -> None:
    """The operator answers a mass of 0 to a token all of whose scores are −∞."""
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 1, 2, 4, 2, 8)
    assert not fused_attention.is_doubtful(*attended(query, key, value, causal=causal))
    same = torch.zeros_like(query)  # the first token's mass is then log 1
    assert not fused_attention.is_doubtful(*attended(same, key, value, causal=causal))
    query[0, 1, 2], key[0, 1, :3] = 7e19, -7e19
    few = key if causal else key[:, :, :3]
    found = attended(query, few, value[:, :, : few.shape[2]], causal=causal)
    assert fused_attention.is_doubtful(*found)


def test_a_pass_in_doubt_is_computed_with_its_scores_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Leaves see nothing of the stem, and of their own tokens as much as of none."""
    forest = Forest.of([tree_of(0, ONE_STEM[0])], torch.device("cpu"))
    n_tokens, n_stem = forest.ids.shape[1], int(forest.stems.lengths)
    torch.manual_seed(0)
    query, key = torch.zeros(2, 1, n_tokens, 2, 8)
    value = torch.randn(1, n_tokens, 2, 8)
    query[:, n_stem:, :, 0], key[:, :n_stem, :, 0] = 7e19, -7e19
    query[:, n_stem:, :, 1], key[:, n_stem:, :, 1] = 1.0, -30.0
    found = forest.attend(query, key, value, layer=0, window=None)
    monkeypatch.setattr(forests, "is_fused", lambda _: False)
    plain = forest.attend(query, key, value, layer=0, window=None)
    assert bool(torch.isfinite(plain).all())
    torch.testing.assert_close(found, plain, atol=1e-6, rtol=0)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    calls: list[None] = []

    def attend(*given: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
        calls.append(None)
        return attended(*given, causal=causal)

    monkeypatch.setattr(forests, "attended", attend)
    return calls


@pytest.mark.parametrize("how", ["missing", "refuses", "wrong"])
def test_an_operator_that_does_not_answer_as_it_should_is_left_alone(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def operator() -> Any:
        if how == "missing":
            raise AttributeError
        return other

    def other(*given: Tensor, **_: Any) -> tuple[Tensor, Tensor]:
        if how == "refuses":
            raise RuntimeError
        return given[0], given[0].sum(-1)

    monkeypatch.setattr(fused_attention, "operator", operator)
    assert not fused_attention.is_possible.__wrapped__()


def test_where_it_does_not_serve() -> None:
    assert fused_attention.is_fused(torch.zeros(1, dtype=torch.float64))
    assert not fused_attention.is_fused(torch.zeros(1, dtype=torch.bfloat16))
    assert not fused_attention.is_fused(torch.zeros(1, device="meta"))
