"""Fused attention of what learns is the plain one, and so are its gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from probes.networks import blocks as layouts
from probes.networks import learned_attention as fused
from probes.networks.blocks import Blocks
from tests.test_written_out import TOLERANCE

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu_backward"),
    reason="this torch has no fused attention on a CPU",
)
LENGTHS = {"unlike": [[3, 1], [2, 5], [4, 4]], "alike": [[4, 4]], "alone": [[5]]}


def attended(
    blocks: Blocks, inputs: list[Tensor], onward: Tensor, window: int | None
) -> list[Tensor]:
    """Attend, and give what was seen and the gradients of queries, keys and values."""
    seen, back = blocks.attended(*inputs, window=window, of_rows=False)
    return [seen, *(t for t in back(onward, True) if t is not None)]


def drawn(blocks: Blocks, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    """Draw queries of four heads, keys and values of two, and a gradient."""
    torch.manual_seed(0)
    *inputs, onward = (
        torch.randn(*blocks.places.shape, n_heads, 8, dtype=dtype)
        for n_heads in (4, 2, 2, 4)
    )
    filled = blocks.stacks.shown is not None and len(blocks.places) > 1
    if filled:  # no gradient comes from what fills up
        blocks._cleared(onward)
    return inputs, onward.flatten(2)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("window", [None, 2, 4, 5])
@pytest.mark.parametrize("in_one_line", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_fused_and_plain_see_alike(
    lengths: str,
    in_one_line: bool,
    window: int | None,
    dtype: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = torch.tensor(LENGTHS[lengths])
    blocks = Blocks.of(sizes, sizes[..., None] - 1, in_one_line=in_one_line)
    given = drawn(blocks, dtype)
    calls = counted(monkeypatch)
    found = attended(blocks, *given, window)
    assert len(calls) == 1
    monkeypatch.setattr(layouts, "is_learned", lambda _: False)
    wanted = attended(blocks, *given, window)
    assert len(calls) == 1
    for ours, plain in zip(found, wanted, strict=True):
        assert ours.shape == plain.shape
        torch.testing.assert_close(ours, plain, atol=TOLERANCE[dtype], rtol=0)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    calls: list[None] = []

    class Counting(fused.Seen):
        def back(self, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            calls.append(None)
            return super().back(gradient)

    monkeypatch.setattr(layouts, "Seen", Counting)
    return calls


def test_scores_that_overflow_are_written() -> None:
    """All scores of the last token are −∞: that is no attention, and not zero."""
    blocks = Blocks.of(torch.tensor([[3]]), torch.tensor([[[2]]]))
    (query, key, value), onward = drawn(blocks, torch.float32)
    query[0, 2], key[0] = 7e19, -7e19
    seen, *_ = attended(blocks, [query, key, value], onward, None)
    assert bool(seen[0, 2].isnan().all())
    assert bool(torch.isfinite(seen[0, :2]).all())


@pytest.mark.parametrize("how", ["missing", "refuses", "wrong"])
@pytest.mark.parametrize("which", ["forth", "back"])
def test_operators_that_do_not_answer_as_they_should_are_left_alone(
    which: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = getattr(fused, "operator" if which == "forth" else "backward_operator")()

    def operator() -> Any:
        if how == "missing":
            raise AttributeError
        return other

    def other(*given: Any, **options: Any) -> tuple[Tensor, ...]:
        if how == "refuses":
            raise RuntimeError
        found = right(*given, **options)
        return (*found[:-1], found[-1] + 1e-3)

    name = "operator" if which == "forth" else "backward_operator"
    monkeypatch.setattr(fused, name, operator)
    assert not fused.is_possible.__wrapped__()


def test_where_it_does_not_serve() -> None:
    assert fused.is_learned(torch.zeros(1, dtype=torch.float64))
    assert not fused.is_learned(torch.zeros(1, dtype=torch.bfloat16))
    assert not fused.is_learned(torch.zeros(1, device="meta"))
