"""The heads of packed tokens, ordered by example and head and padded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class HeadOrder:
    """Moves heads from the order of tokens to slots by example, head and token.

    Every example has as many slots as the longest.

    Attributes:
        source: Which head of which token each slot gets, shape (n_slots,).
        slot: The slot of every head of every token, shape (n_heads,).
        padding: Slots beyond an example's end; None if there are none.
    """

    source: Tensor
    slot: Tensor
    padding: Tensor | None

    @classmethod
    def of(
        cls, padded_index: Tensor, starts: Tensor, lengths: Tensor, *, n_heads: int
    ) -> HeadOrder:
        """Order the heads of tokens.

        Args:
            padded_index: Each token's index among examples padded to the longest,
                shape (n_tokens,).
            starts: The first token of every example, shape (n_examples,).
            lengths: Tokens of every example, same shape.
            n_heads: Heads of a token.
        """
        width = int(lengths.max())
        heads = torch.arange(n_heads, device=padded_index.device)
        steps = torch.arange(width, device=padded_index.device)
        ends = lengths[:, None]
        tokens = starts[:, None] + torch.minimum(steps, ends - 1)
        source = tokens[:, None] * n_heads + heads[:, None]
        slot = padded_index // width * (n_heads * width) + padded_index % width
        is_padding = (steps >= ends)[:, None].expand_as(source).flatten()
        return cls(
            source=source.flatten(),
            slot=(slot[:, None] + heads * width).flatten(),
            padding=is_padding.nonzero()[:, 0] if bool(is_padding.any()) else None,
        )

    def to_slots(self, heads: Tensor, *, is_gradient: bool) -> Tensor:
        """Order heads (n_stacks or 1, n_heads, d).

        Padding gets the example's last token, or zero for a gradient.
        """
        slots = heads.index_select(1, self.source)
        if is_gradient and self.padding is not None:
            slots.index_fill_(1, self.padding, 0.0)
        return slots

    def from_slots(self, slots: Tensor) -> Tensor:
        """Undo :meth:`to_slots`."""
        return slots.index_select(1, self.slot)
