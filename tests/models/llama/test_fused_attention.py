"""Fused attention to a prefix and to a suffix, merged, is attention to both."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from probes.models.llama import fused_attention, prefix_attention
from probes.models.llama.fused_attention import attend_with_mass, merge_attention
from probes.models.llama.model import Llama
from probes.models.llama.prefix_attention import PrefixAttention
from probes.models.llama.prefix_tree import build_prefix_tree
from probes.models.weights.parameter_groups import parameters_of
from tests.support.llamas import TOLERANCE, built, disturbed, group

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu"),
    reason="this torch does not return attention's mass",
)
ONE_PREFIX = [group(30, [3, 9, 1, 4])]
EQUAL_LENGTHS = [group(30, [3, 9, 1, 4], seed) for seed in (0, 1, 2)]
UNEQUAL_LENGTHS = [group(30, [3, 9, 1, 4]), group(21, [2, 2, 7, 1], 1)]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("stacked", [(1, 1, 1), (3, 3, 3), (3, 1, 1), (1, 3, 1)])
def test_attention_to_two_parts_merged_is_attention_to_the_whole(
    stacked: tuple[int, int, int], dtype: torch.dtype
) -> None:
    """Six tokens each see all of ten keys, and of their own as many as themselves."""
    torch.manual_seed(0)
    query, *both = (
        torch.randn(n, 2, length, heads, 8, dtype=dtype)
        for n, length, heads in zip(stacked, (6, 16, 16), (4, 2, 2), strict=True)
    )
    there, own = ([t[:, :, part] for t in both] for part in (slice(10), slice(10, 16)))
    found = merge_attention(
        *attend_with_mass(query, *own, causal=True),
        *attend_with_mass(query, *there, causal=False),
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
    attention = PrefixAttention.of(
        [build_prefix_tree(i, p) for i, p in enumerate(prompts)], device
    )
    with torch.no_grad():
        return llama.logits(
            llama.embed(attention.layout.ids, weights), attention, weights
        )


@pytest.mark.parametrize("weights", ["none", "all", "W_V@first", "W_K@last"])
@pytest.mark.parametrize("prompts", [ONE_PREFIX, EQUAL_LENGTHS, UNEQUAL_LENGTHS])
@pytest.mark.parametrize("kind", ["grouped_queries", "sliding", "qwen"])
def test_prefix_trees_answer_alike_fused_and_not(
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
    monkeypatch.setattr(prefix_attention, "supports_fused", lambda _: False)
    plain = logits(model, prompts, stack)
    assert len(calls) == n_fused
    torch.testing.assert_close(found, plain, atol=1e-10, rtol=0)
    # In each layer that computes all tokens, unless a window or padding masks prefixes.
    n_all = 0 if kind == "sliding" or prompts is UNEQUAL_LENGTHS else 1
    assert n_fused == 2 * n_all


@pytest.mark.parametrize(("window", "n_fused"), [(38, 0), (39, 2)])
def test_a_window_that_masks_one_token_is_noticed(
    window: int, n_fused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest prompt has 39 tokens."""
    model, calls = built("sliding"), counted(monkeypatch)
    model.config.sliding_window = window
    found = logits(model, ONE_PREFIX, {})
    assert len(calls) == n_fused
    monkeypatch.setattr(prefix_attention, "supports_fused", lambda _: False)
    torch.testing.assert_close(found, logits(model, ONE_PREFIX, {}), atol=1e-10, rtol=0)


@pytest.mark.parametrize("causal", [False, True])
def test_scores_that_overflow_are_noticed(causal: bool) -> None:
    """The operator returns a mass of 0 for a token whose scores are all −∞."""
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 1, 2, 4, 2, 8)
    assert not fused_attention.may_have_overflowed(
        *attend_with_mass(query, key, value, causal=causal)
    )
    same = torch.zeros_like(query)  # the first token's mass is then log 1
    assert not fused_attention.may_have_overflowed(
        *attend_with_mass(same, key, value, causal=causal)
    )
    query[0, 1, 2], key[0, 1, :3] = 7e19, -7e19
    few = key if causal else key[:, :, :3]
    found = attend_with_mass(query, few, value[:, :, : few.shape[2]], causal=causal)
    assert fused_attention.may_have_overflowed(*found)


def test_a_pass_that_may_have_overflowed_writes_its_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All scores of the prefix are −∞, and those of suffixes cancel to a mass of 0."""
    attention = PrefixAttention.of(
        [build_prefix_tree(0, ONE_PREFIX[0])], torch.device("cpu")
    )
    n_tokens, n_prefix = (
        attention.layout.ids.shape[1],
        int(attention.layout.prefixes.lengths),
    )
    torch.manual_seed(0)
    query, key = torch.zeros(2, 1, n_tokens, 2, 8)
    value = torch.randn(1, n_tokens, 2, 8)
    query[:, n_prefix:, :, 0], key[:, :n_prefix, :, 0] = 7e19, -7e19
    query[:, n_prefix:, :, 1], key[:, n_prefix:, :, 1] = 1.0, -30.0
    found = attention.attend(query, key, value, layer=0, window=None)
    monkeypatch.setattr(prefix_attention, "supports_fused", lambda _: False)
    plain = attention.attend(query, key, value, layer=0, window=None)
    assert bool(torch.isfinite(plain).all())
    torch.testing.assert_close(found, plain, atol=1e-6, rtol=0)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    calls: list[None] = []

    def attend(*given: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
        calls.append(None)
        return attend_with_mass(*given, causal=causal)

    monkeypatch.setattr(prefix_attention, "attend_with_mass", attend)
    return calls


@pytest.mark.parametrize("how", ["missing", "refuses", "wrong"])
def test_an_operator_with_wrong_results_is_not_used(
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

    monkeypatch.setattr(fused_attention, "forward_operator", operator)
    assert not fused_attention.has_forward_operator.__wrapped__()


def test_only_wide_numbers_on_a_cpu_are_supported() -> None:
    assert fused_attention.supports_fused(torch.zeros(1, dtype=torch.float64))
    assert not fused_attention.supports_fused(torch.zeros(1, dtype=torch.bfloat16))
    assert not fused_attention.supports_fused(torch.zeros(1, device="meta"))
