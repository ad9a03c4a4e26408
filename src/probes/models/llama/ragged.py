"""Rows of unequal length in a padded grid, and causal attention within each row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from probes.models.llama.axes import split
from probes.models.llama.fused_attention import by_head


@dataclass(frozen=True, kw_only=True)
class RaggedRows:
    """Rows of tokens, and how to pad them to a grid and back.

    Attributes:
        lengths: Tokens of each row; rows may have any number of axes.
        width: The length of the longest row.
        real: Slots of the flat grid that hold a token; None if all do.
        source: Which token each slot of the flat grid gets; padding gets some other.
            None if there is no padding.
    """

    lengths: Tensor
    width: int
    real: Tensor | None
    source: Tensor | None

    @classmethod
    def of(cls, lengths: Tensor) -> RaggedRows:
        """Lay out rows of these lengths."""
        width = int(lengths.max()) if lengths.numel() else 0
        steps = torch.arange(width, device=lengths.device)
        is_real = (steps < lengths[..., None]).flatten()
        if bool(is_real.all()):
            return cls(lengths=lengths, width=width, real=None, source=None)
        return cls(
            lengths=lengths,
            width=width,
            real=is_real.nonzero()[:, 0],
            source=(is_real.cumsum(0) - 1).clamp_(min=0),
        )

    def pad(self, tokens: Tensor) -> Tensor:
        """Spread tokens (n_stacks, n_real, …) over the grid (n_stacks, *rows, …)."""
        if self.source is not None:
            tokens = tokens.index_select(1, self.source)
        return split(tokens, 1, *self.lengths.shape, self.width)

    def unpad(self, grid: Tensor) -> Tensor:
        """Gather the tokens of the flat grid (n_stacks, n_slots, …)."""
        return grid if self.real is None else grid.index_select(1, self.real)


def causal_attention(
    grid: RaggedRows, query: Tensor, key: Tensor, value: Tensor, window: int | None
) -> Tensor:
    """Attend to earlier tokens within every row of a grid.

    Args:
        grid: The rows.
        query: Their tokens, shape (n_stacks or 1, n_real, n_heads, d_head).
        key: On the grid, shape (n_stacks or 1, *rows, width, n_key_heads, d_head).
        value: Same.
        window: How many tokens back a token attends; None is all.

    Returns:
        Shape (n_stacks, n_real, n_heads · d_head).
    """
    n_stacks, n_axes = max(map(len, (query, key, value))), grid.lengths.dim()
    by_row = (t.flatten(1, n_axes) for t in (grid.pad(query), key, value))
    q, k, v = by_head(*by_row)  # (n_stacks · n_rows, n_heads, width, d_head)
    mask = None
    if window is not None and window < grid.width:
        steps = torch.arange(grid.width, device=query.device)
        gap = steps[:, None] - steps
        mask = (gap >= 0) & (gap < window)
    seen = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=mask is None, scale=1.0
    )
    flat = split(seen.transpose(1, 2).flatten(2), 0, n_stacks, -1)
    return grid.unpad(flat.flatten(1, 2))
