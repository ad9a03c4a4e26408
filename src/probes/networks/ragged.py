"""Rows of unlike length without padding, and attention within each of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from probes.networks.axes import split
from probes.networks.fused import by_head


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Ragged rows of tokens in a padded grid, and which of its places are real.

    Attributes:
        lengths: Of the rows, in any shape.
        width: The longest.
        real: Places of real tokens in the flat grid; None if no place is padding.
        shown: Which token stands at every place of the flat grid, some other at
            padding; None if no place is padding.
    """

    lengths: Tensor
    width: int
    real: Tensor | None
    shown: Tensor | None

    @classmethod
    def of(cls, lengths: Tensor) -> Grid:
        """Lay out rows of some lengths."""
        width = int(lengths.max()) if lengths.numel() else 0
        steps = torch.arange(width, device=lengths.device)
        fits = (steps < lengths[..., None]).flatten()
        if bool(fits.all()):
            return cls(lengths=lengths, width=width, real=None, shown=None)
        return cls(
            lengths=lengths,
            width=width,
            real=fits.nonzero()[:, 0],
            shown=(fits.cumsum(0) - 1).clamp_(min=0),
        )

    def pad(self, tokens: Tensor) -> Tensor:
        """Spread tokens (n_stacks, n_real, …) over the grid (n_stacks, *rows, …)."""
        if self.shown is not None:
            tokens = tokens.index_select(1, self.shown)
        return split(tokens, 1, *self.lengths.shape, self.width)

    def unpad(self, grid: Tensor) -> Tensor:
        """Gather the tokens of the flat grid (n_stacks, n_places, …)."""
        return grid if self.real is None else grid.index_select(1, self.real)


def causally(
    grid: Grid, query: Tensor, key: Tensor, value: Tensor, window: int | None
) -> Tensor:
    """Attend within every row of a grid, to earlier tokens.

    Args:
        grid: The rows.
        query: Their tokens, shape (n_stacks or 1, n_real, n_heads, d_head).
        key: On the grid, shape (n_stacks or 1, *rows, width, n_key_heads, d_head).
        value: Same.
        window: How many tokens back a token sees; None: all.

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
