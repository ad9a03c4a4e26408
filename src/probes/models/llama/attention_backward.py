"""Fused attention within rows of tokens, and its gradient.

These are the CPU operators beneath ``scaled_dot_product_attention``. Scores are never
written, and the gradient takes one call. As in ``fused_attention``, their results are
checked before they are used at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from probes.models.llama import fused_attention
from probes.models.llama.axes import split
from probes.models.llama.fused_attention import DTYPES, by_head, forward_operator


@dataclass(frozen=True, kw_only=True)
class FusedAttention:
    """The result of fused attention, with all that its gradient needs.

    Attributes:
        inputs: Queries, keys and values, as :func:`~fused_attention.by_head` orders
            them.
        by_head: The result, shape (n_stacks · n_rows, n_heads, n_tokens, d_head).
        mass: Logarithm of the sum of exponentiated scores, same without d_head.
        mask: −∞ for each masked key; None if later keys are masked.
        n_key_heads: Heads of keys and values.
    """

    inputs: tuple[Tensor, ...]
    by_head: Tensor
    mass: Tensor
    mask: Tensor | None
    n_key_heads: int

    @classmethod
    def of(
        cls, query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor | None
    ) -> FusedAttention:
        """Attend within rows of tokens.

        Args:
            query: Scaled; shape (n_stacks or 1, n_rows, n_tokens, n_heads, d_head).
            key: Shape (n_stacks or 1, n_rows, n_tokens, n_key_heads, d_head).
            value: Same.
            mask: −∞ for each masked key, shape (n_tokens, n_tokens); None masks later
                keys.
        """
        inputs = by_head(query, key, value)
        seen, mass = forward_operator()(
            *inputs, is_causal=mask is None, attn_mask=mask, scale=1.0
        )
        return cls(
            inputs=inputs, by_head=seen, mass=mass, mask=mask, n_key_heads=key.shape[3]
        )

    @property
    def tokens(self) -> Tensor:
        """The result, shape (n_stacks · n_rows, n_tokens, n_heads, d_head)."""
        return self.by_head.transpose(1, 2)

    @property
    def may_have_overflowed(self) -> bool:
        """Whether all scores of some token may be −∞ (see ``fused_attention``)."""
        return fused_attention.may_have_overflowed(self.by_head, self.mass[..., None])

    def backward(self, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute gradients from that of ``tokens``.

        Returns:
            Gradients of queries, keys and values, shape (n_stacks · n_rows, n_tokens,
            n_heads or n_key_heads, d_head).
        """
        gradients = backward_operator()(
            gradient.transpose(1, 2), *self.inputs, self.by_head, self.mass, 0.0,
            self.mask is None, attn_mask=self.mask, scale=1.0,
        )  # fmt: skip
        query, key, value = (t.transpose(1, 2) for t in gradients)
        groups = query.shape[2] // self.n_key_heads
        if groups > 1:
            key, value = (split(t, 2, -1, groups).sum(3) for t in (key, value))
        return query, key, value


def backward_operator() -> torch._ops.OpOverloadPacket:
    """Find torch's operator; AttributeError if it has none."""
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def supports_fused_backward(query: Tensor) -> bool:
    """Check that :class:`FusedAttention` supports a tensor's device and precision."""
    is_wide = query.dtype in DTYPES
    return query.device.type == "cpu" and is_wide and has_backward_operator()


@cache
def has_backward_operator() -> bool:
    """Check that this torch has the operators, and that their results are right."""
    later = torch.ones(5, 5, dtype=torch.bool).triu(1)
    too_early = torch.ones(5, 5, dtype=torch.bool).tril(-3)
    try:
        return all(
            _is_right(later, dtype, is_causal=True)
            and _is_right(later | too_early, dtype, is_causal=False)
            for dtype in DTYPES
        )
    except (AttributeError, RuntimeError, TypeError):
        return False


def _is_right(is_masked: Tensor, dtype: torch.dtype, *, is_causal: bool) -> bool:
    """Compare with autograd, with two query heads for each key head."""
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode(False), torch.enable_grad():
        *inputs, onward = (
            torch.randn(1, 2, 5, n_heads, 8, generator=generator, dtype=dtype)
            for n_heads in (4, 2, 2, 4)
        )
        mask = torch.zeros(5, 5, dtype=dtype).masked_fill(is_masked, -torch.inf)
        fused = FusedAttention.of(*inputs, mask=None if is_causal else mask)
        q, *both = (t.clone().requires_grad_() for t in inputs)
        k, v = (t.repeat_interleave(2, dim=3) for t in both)
        weights = (torch.einsum("srihd,srjhd->srhij", q, k) + mask).softmax(-1)
        seen = torch.einsum("srhij,srjhd->srihd", weights, v)
        gradients = torch.autograd.grad((seen * onward).sum(), (q, *both))
    return all(
        torch.allclose(ours, plain[0], atol=1e-5)
        for ours, plain in zip(
            (fused.tokens, *fused.backward(onward[0])), (seen, *gradients), strict=True
        )
    )
