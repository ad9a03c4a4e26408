"""Heads of tokens put in order by example and head, in one pass over memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


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
