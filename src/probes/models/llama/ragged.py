"""Rows of unlike length without padding, and attention within each of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from probes.models.llama.axes import split
from probes.models.llama.fused_attention import by_head


@dataclass(frozen=True, kw_only=True)
class RaggedRows:
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
    def of(cls, lengths: Tensor) -> RaggedRows:
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
    grid: RaggedRows, query: Tensor, key: Tensor, value: Tensor, window: int | None
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


@dataclass(frozen=True, kw_only=True)
class Order:
    """Where heads of tokens stand, padded to the longest example.

    Attributes:
        there: Which head of which token stands at every place, shape (n_places,).
        back: At which place every head of every token stands, shape (n_heads,).
        empty: Places beyond an example's end; None if there are none.
    """

    there: Tensor
    back: Tensor
    empty: Tensor | None

    @classmethod
    def of(
        cls, places: Tensor, begins: Tensor, lengths: Tensor, *, n_heads: int
    ) -> Order:
        """Order the heads of tokens.

        Args:
            places: Of tokens among examples padded to the longest, shape (n_tokens,).
            begins: At which token every example begins, shape (n_examples,).
            lengths: Tokens of every example, same shape.
            n_heads: Heads of a token.
        """
        width = int(lengths.max())
        heads = torch.arange(n_heads, device=places.device)
        steps, ends = torch.arange(width, device=places.device), lengths[:, None]
        tokens = begins[:, None] + torch.minimum(steps, ends - 1)
        there = tokens[:, None] * n_heads + heads[:, None]
        back = places // width * (n_heads * width) + places % width
        is_empty = (steps >= ends)[:, None].expand_as(there).flatten()
        return cls(
            there=there.flatten(),
            back=(back[:, None] + heads * width).flatten(),
            empty=is_empty.nonzero()[:, 0] if bool(is_empty.any()) else None,
        )

    def put(self, heads: Tensor, *, is_gradient: bool) -> Tensor:
        """Put heads (n_stacks or 1, n_heads, d) in order.

        At empty places stands the example's last token, or zero for a gradient.
        """
        found = heads.index_select(1, self.there)
        if is_gradient and self.empty is not None:
            found.index_fill_(1, self.empty, 0.0)
        return found

    def take(self, ordered: Tensor) -> Tensor:
        """Take them out of it again."""
        return ordered.index_select(1, self.back)
