"""Fused attention, which never writes its scores, and merging two parts of it.

A token that attends to two sets of keys sees the mean of its two results, weighted by
the sums of their exponentiated scores. ``scaled_dot_product_attention`` computes these
sums without returning them, but the CPU operator beneath it returns them. It is not
public, so its results are compared with plain attention before it is used at all.

Reference:
    Milakov and Gimelshein 2018, arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from probes.models.llama.axes import split

DTYPES = (torch.float32, torch.float64)


def by_head(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    """Order rows of tokens by head, and repeat key heads for their query heads.

    Args:
        query: Shape (n_stacks or 1, n_rows, n_asking, n_heads, d_head).
        key: Shape (n_stacks or 1, n_rows, n_tokens, n_key_heads, d_head).
        value: Same.

    Returns:
        All three, shape (n_stacks · n_rows, n_heads, n_asking or n_tokens, d_head).
    """
    n_stacks = max(map(len, (query, key, value)))
    groups = query.shape[3] // key.shape[3]
    q, k, v = (
        t.expand(n_stacks, *t.shape[1:]).flatten(0, 1).transpose(1, 2)
        for t in (query, key, value)
    )
    k, v = (t.repeat_interleave(groups, dim=1) if groups > 1 else t for t in (k, v))
    return q, k, v


def attend_with_mass(
    query: Tensor, key: Tensor, value: Tensor, *, causal: bool
) -> tuple[Tensor, Tensor]:
    """Attend, and return the logarithm of the sum of exponentiated scores too.

    Args:
        query: Scaled; shape (n_stacks or 1, n_rows, n_asking, n_heads, d_head).
        key: Shape (n_stacks or 1, n_rows, n_tokens, n_key_heads, d_head).
        value: Same.
        causal: Whether token i attends to the first i + 1 keys, or to all of them.

    Returns:
        The result, shape (n_stacks, n_rows, n_asking, n_heads, d_head), and the
        logarithm (its mass), shape (…, n_heads, 1).
    """
    operator = forward_operator()
    seen, mass = operator(*by_head(query, key, value), is_causal=causal, scale=1.0)
    seen, mass = (
        split(t.transpose(1, 2), 0, -1, query.shape[1]) for t in (seen, mass[..., None])
    )
    return seen, mass


def merge_attention(
    seen: Tensor, mass: Tensor, other_seen: Tensor, other_mass: Tensor
) -> Tensor:
    """Merge the results of attention to two sets of keys."""
    share = torch.sigmoid(other_mass - mass).to(seen.dtype)
    return torch.lerp(seen, other_seen, share)


def may_have_overflowed(seen: Tensor, mass: Tensor) -> bool:
    """Check whether all scores of some token may have overflowed to −∞.

    The operator then returns 0 and a mass of 0, where plain attention has NaN.

    Args:
        seen: Shape (…, d_head).
        mass: Shape (…, 1).
    """
    is_zero = mass == 0
    return bool(is_zero.any()) and bool((seen[is_zero[..., 0]] == 0).all(-1).any())


def supports_fused(query: Tensor) -> bool:
    """Check that :func:`attend_with_mass` supports a tensor's device and precision."""
    is_wide = query.dtype in DTYPES
    return query.device.type == "cpu" and is_wide and has_forward_operator()


@cache
def has_forward_operator() -> bool:
    """Check that this torch has the operator, and that its results are right."""
    try:
        return all(
            _is_right(dtype, causal) for dtype in DTYPES for causal in (False, True)
        )
    except (AttributeError, RuntimeError, TypeError):
        return False


def _is_right(dtype: torch.dtype, causal: bool) -> bool:
    """Compare with plain attention, with two query heads for each key head."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(1, 2, 5, n_heads, 8, generator=generator, dtype=dtype)
        for n_heads in (4, 2, 2)
    )
    fused = attend_with_mass(q, k, v, causal=causal)
    k, v = (t.repeat_interleave(2, dim=3) for t in (k, v))
    scores = torch.einsum("srihd,srjhd->srihj", q, k)
    if causal:
        later = torch.ones(5, 5, dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later[:, None], -torch.inf)
    seen = torch.einsum("srihj,srjhd->srihd", scores.softmax(-1), v)
    mass = scores.logsumexp(-1, keepdim=True)
    return all(
        ours.shape == plain.shape and torch.allclose(ours, plain, atol=1e-5)
        for ours, plain in zip(fused, (seen, mass), strict=True)
    )


def forward_operator() -> torch._ops.OpOverloadPacket:
    """Find torch's operator; AttributeError if it has none."""
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
