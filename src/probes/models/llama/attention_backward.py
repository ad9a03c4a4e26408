"""Fused attention of tokens to their own row, and its gradient, for what learns.

The operators beneath ``scaled_dot_product_attention`` on a CPU: no scores are written,
and a gradient takes one call. Like ``fused_attention`` it compares what they answer
before they are used at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from probes.models.llama.axes import split
from probes.models.llama.fused_attention import DTYPES, by_head, is_doubtful, operator


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What tokens of rows saw, and what a gradient needs to come back through it.

    Attributes:
        inputs: Queries, keys and values, as :func:`~fused_attention.by_head`
            lays them out.
        found: By head, shape (n_stacks · n_rows, n_heads, n_tokens, d_head).
        mass: Logarithm of the sum of exponentiated scores, same without d_head.
        mask: What may not be seen as −∞; None if it is what comes later.
        n_key_heads: Heads of keys and values.
    """

    inputs: tuple[Tensor, ...]
    found: Tensor
    mass: Tensor
    mask: Tensor | None
    n_key_heads: int

    @classmethod
    def of(
        cls, query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor | None
    ) -> Seen:
        """Attend from all tokens of a row to some of them.

        Args:
            query: Scaled; shape (n_stacks or 1, n_rows, n_tokens, n_heads, d_head).
            key: Shape (n_stacks or 1, n_rows, n_tokens, n_key_heads, d_head).
            value: Same.
            mask: What may not be seen as −∞, shape (n_tokens, n_tokens); None hides
                what comes later.
        """
        inputs = by_head(query, key, value)
        found, mass = operator()(
            *inputs, is_causal=mask is None, attn_mask=mask, scale=1.0
        )
        return cls(
            inputs=inputs, found=found, mass=mass, mask=mask, n_key_heads=key.shape[3]
        )

    @property
    def tokens(self) -> Tensor:
        """What was seen, shape (n_stacks · n_rows, n_tokens, n_heads, d_head)."""
        return self.found.transpose(1, 2)

    @property
    def is_doubtful(self) -> bool:
        """Whether some token may have seen nothing (see ``fused_attention``)."""
        return is_doubtful(self.found, self.mass[..., None])

    def back(self, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Carry the gradient of ``tokens`` back.

        Returns:
            Gradients of queries, keys and values, shape (n_stacks · n_rows, n_tokens,
            n_heads or n_key_heads, d_head).
        """
        found = backward_operator()(
            gradient.transpose(1, 2), *self.inputs, self.found, self.mass, 0.0,
            self.mask is None, attn_mask=self.mask, scale=1.0,
        )  # fmt: skip
        query, key, value = (t.transpose(1, 2) for t in found)
        groups = query.shape[2] // self.n_key_heads
        if groups > 1:
            key, value = (split(t, 2, -1, groups).sum(3) for t in (key, value))
        return query, key, value


def backward_operator() -> torch._ops.OpOverloadPacket:
    """Give torch's operator; AttributeError where it has none."""
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def is_learned(query: Tensor) -> bool:
    """Say whether :class:`Seen` serves tokens of this device and precision."""
    is_wide = query.dtype in DTYPES
    return query.device.type == "cpu" and is_wide and is_possible()


@cache
def is_possible() -> bool:
    """Say whether this torch has the operators, and they answer as they should."""
    later = torch.ones(5, 5, dtype=torch.bool).triu(1)
    beyond = torch.ones(5, 5, dtype=torch.bool).tril(-3)
    try:
        return all(
            _is_right(later, dtype, is_causal=True)
            and _is_right(later | beyond, dtype, is_causal=False)
            for dtype in DTYPES
        )
    except (AttributeError, RuntimeError, TypeError):
        return False


def _is_right(hidden: Tensor, dtype: torch.dtype, *, is_causal: bool) -> bool:
    """Compare with autograd, two heads asking of every key head."""
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode(False), torch.enable_grad():
        *inputs, onward = (
            torch.randn(1, 2, 5, n_heads, 8, generator=generator, dtype=dtype)
            for n_heads in (4, 2, 2, 4)
        )
        mask = torch.zeros(5, 5, dtype=dtype).masked_fill(hidden, -torch.inf)
        seen = Seen.of(*inputs, mask=None if is_causal else mask)
        q, *both = (t.clone().requires_grad_() for t in inputs)
        k, v = (t.repeat_interleave(2, dim=3) for t in both)
        weights = (torch.einsum("srihd,srjhd->srhij", q, k) + mask).softmax(-1)
        wanted = torch.einsum("srhij,srjhd->srihd", weights, v)
        gradients = torch.autograd.grad((wanted * onward).sum(), (q, *both))
    return all(
        torch.allclose(found, other[0], atol=1e-5)
        for found, other in zip(
            (seen.tokens, *seen.back(onward[0])), (wanted, *gradients), strict=True
        )
    )
