"""Attention whose scores are never written, and the joining of what two parts saw.

A token that attends to two parts of its keys sees the mean of what it saw in each,
weighted by how much mass its exponentiated scores had there (Milakov & Gimelshein 2018;
Dao et al. 2022). ``scaled_dot_product_attention`` computes that mass and does not hand
it out; the operator beneath it on a CPU does. It is not public, so what it answers is
compared with the plain way before it is used at all.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from probes.models.llama.axes import split

DTYPES = (torch.float32, torch.float64)


def by_head(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    """Lay rows of tokens out by head, every query head beside a key head of its own.

    Args:
        query: Shape (n_stacks or 1, n_rows, n_asking, n_heads, d_head).
        key: Shape (n_stacks or 1, n_rows, n_tokens, n_key_heads, d_head).
        value: Same.

    Returns:
        Of each, shape (n_stacks · n_rows, n_heads, n_asking or n_tokens, d_head).
    """
    n_stacks = max(map(len, (query, key, value)))
    groups = query.shape[3] // key.shape[3]
    q, k, v = (
        t.expand(n_stacks, *t.shape[1:]).flatten(0, 1).transpose(1, 2)
        for t in (query, key, value)
    )
    k, v = (t.repeat_interleave(groups, dim=1) if groups > 1 else t for t in (k, v))
    return q, k, v


def attended(
    query: Tensor, key: Tensor, value: Tensor, *, causal: bool
) -> tuple[Tensor, Tensor]:
    """Attend from tokens to others, and tell how much mass these had.

    Args:
        query: Scaled; shape (n_stacks or 1, n_rows, n_asking, n_heads, d_head).
        key: Shape (n_stacks or 1, n_rows, n_tokens, n_key_heads, d_head).
        value: Same.
        causal: Whether token i sees the first i + 1 alone, and not all.

    Returns:
        What is seen, shape (n_stacks, n_rows, n_asking, n_heads, d_head), and the
        logarithm of the sum of exponentiated scores, (…, n_heads, 1).
    """
    seen, mass = operator()(*by_head(query, key, value), is_causal=causal, scale=1.0)
    seen, mass = (
        split(t.transpose(1, 2), 0, -1, query.shape[1]) for t in (seen, mass[..., None])
    )
    return seen, mass


def joined(seen: Tensor, mass: Tensor, elsewhere: Tensor, mass_there: Tensor) -> Tensor:
    """Join what tokens saw in two parts of their keys (see :func:`attended`)."""
    return torch.lerp(seen, elsewhere, torch.sigmoid(mass_there - mass).to(seen.dtype))


def is_doubtful(seen: Tensor, mass: Tensor) -> bool:
    """Say whether some token may have seen nothing, for its scores overflowed to −∞.

    The operator then answers 0 and a mass of 0, not NaN and −∞.

    Args:
        seen: Shape (…, d_head).
        mass: Shape (…, 1).
    """
    is_zero = mass == 0
    return bool(is_zero.any()) and bool((seen[is_zero[..., 0]] == 0).all(-1).any())


def is_fused(query: Tensor) -> bool:
    """Say whether :func:`attended` serves tokens of this device and precision."""
    wide = query.dtype in DTYPES
    return query.device.type == "cpu" and wide and is_possible()


@cache
def is_possible() -> bool:
    """Say whether this torch has the operator, and it answers as it should."""
    try:
        return all(
            _is_right(dtype, causal) for dtype in DTYPES for causal in (False, True)
        )
    except (AttributeError, RuntimeError, TypeError):
        return False


def _is_right(dtype: torch.dtype, causal: bool) -> bool:
    """Compare with the plain way, two heads asking of every key head."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(1, 2, 5, n_heads, 8, generator=generator, dtype=dtype)
        for n_heads in (4, 2, 2)
    )
    found = attended(q, k, v, causal=causal)
    k, v = (t.repeat_interleave(2, dim=3) for t in (k, v))
    scores = torch.einsum("srihd,srjhd->srihj", q, k)
    if causal:
        later = torch.ones(5, 5, dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later[:, None], -torch.inf)
    wanted = torch.einsum("srihj,srjhd->srihd", scores.softmax(-1), v)
    masses = scores.logsumexp(-1, keepdim=True)
    return all(
        a.shape == b.shape and torch.allclose(a, b, atol=1e-5)
        for a, b in zip(found, (wanted, masses), strict=True)
    )


def operator() -> torch._ops.OpOverloadPacket:
    """Give torch's operator; AttributeError where it has none."""
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
