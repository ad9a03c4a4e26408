"""Fused attention in training and its gradients are those of plain attention."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from probes.models.llama import attention_backward as fused
from probes.models.llama import packed_attention
from probes.models.llama.model import Llama
from probes.models.llama.packed_attention import PackedAttention
from probes.models.training.llama_backend import LlamaBackend
from probes.models.weights.parameter_groups import parameters_of
from probes.models.weights.stacks import unstacked
from tests.support.gradient_receivers import collect_into
from tests.support.llamas import FAMILY, TOLERANCE, built, disturbed, examples

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu_backward"),
    reason="this torch has no fused attention on a CPU",
)


def attended(inputs: list[Tensor], onward: Tensor, window: int | None) -> list[Tensor]:
    """Attend, and give the result and the gradients of queries, keys and values."""
    n = inputs[0].shape[1]
    packed = PackedAttention.of(torch.tensor([[n]]), torch.tensor([[[n - 1]]]))
    seen, backward = packed.with_backward(
        *inputs, window=window, of_rows=False, of_scores=True
    )
    return [seen, *(t for t in backward(onward) if t is not None)]


def drawn(n_tokens: int, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    """Draw queries of four heads, keys and values of two, and a gradient."""
    torch.manual_seed(0)
    *inputs, onward = (
        torch.randn(1, n_tokens, n_heads, 8, dtype=dtype) for n_heads in (4, 2, 2, 4)
    )
    return inputs, onward.flatten(2)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("window", [None, 2, 4, 5])
@pytest.mark.parametrize("n_tokens", [1, 5])
def test_fused_and_plain_see_alike(
    n_tokens: int,
    window: int | None,
    dtype: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = drawn(n_tokens, dtype)
    calls = counted(monkeypatch)
    found = attended(*given, window)
    assert len(calls) == 1
    monkeypatch.setattr(packed_attention, "supports_fused_backward", lambda _: False)
    wanted = attended(*given, window)
    assert len(calls) == 1
    for ours, plain in zip(found, wanted, strict=True):
        assert ours.shape == plain.shape
        torch.testing.assert_close(ours, plain, atol=TOLERANCE[dtype], rtol=0)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    calls: list[None] = []

    class Counting(fused.FusedAttention):
        def backward(self, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            calls.append(None)
            return super().backward(gradient)

    monkeypatch.setattr(packed_attention, "FusedAttention", Counting)
    return calls


@pytest.mark.parametrize("weights", ["all", "W_V@first", "W_K@first"])
@pytest.mark.parametrize("kind", FAMILY)
def test_a_step_on_one_example_is_the_same(
    kind: str, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = built(kind)
    moving = unstacked(disturbed(parameters_of(model, weights), 1))
    columns, batch = examples(1)
    one = tuple(t[:, :1] for t in batch)
    calls = counted(monkeypatch)

    def gradients() -> dict[str, Tensor]:
        found = dict[str, Tensor]()
        LlamaBackend(Llama(model), moving).gradients(
            moving, columns, one, collect_into(found)
        )
        return found

    found = gradients()
    # Not from rows, and not where values alone move.
    assert len(calls) == model.config.num_hidden_layers - 1 - (weights == "W_V@first")
    monkeypatch.setattr(packed_attention, "supports_fused_backward", lambda _: False)
    for name, gradient in gradients().items():
        torch.testing.assert_close(found[name], gradient, atol=1e-10, rtol=0)


def test_scores_that_overflow_are_written() -> None:
    """All scores of the last token are −∞: that is no attention, and not zero."""
    (query, key, value), onward = drawn(3, torch.float32)
    query[0, 2], key[0] = 7e19, -7e19
    seen, *_ = attended([query, key, value], onward, None)
    assert bool(seen[0, 2].isnan().all())
    assert bool(torch.isfinite(seen[0, :2]).all())


@pytest.mark.parametrize("how", ["missing", "refuses", "wrong"])
@pytest.mark.parametrize("which", ["forward", "backward"])
def test_operators_with_wrong_results_are_not_used(
    which: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = getattr(
        fused, "forward_operator" if which == "forward" else "backward_operator"
    )()

    def operator() -> Any:
        if how == "missing":
            raise AttributeError
        return other

    def other(*given: Any, **options: Any) -> tuple[Tensor, ...]:
        if how == "refuses":
            raise RuntimeError
        found = right(*given, **options)
        return (*found[:-1], found[-1] + 1e-3)

    name = "forward_operator" if which == "forward" else "backward_operator"
    monkeypatch.setattr(fused, name, operator)
    assert not fused.has_backward_operator.__wrapped__()


def test_the_check_works_in_inference_mode() -> None:
    with torch.inference_mode():
        assert fused.has_backward_operator.__wrapped__()


def test_only_wide_numbers_on_a_cpu_are_supported() -> None:
    assert fused.supports_fused_backward(torch.zeros(1, dtype=torch.float64))
    assert not fused.supports_fused_backward(torch.zeros(1, dtype=torch.bfloat16))
    assert not fused.supports_fused_backward(torch.zeros(1, device="meta"))
