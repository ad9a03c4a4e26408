"""Examples padded to one length, a block each: the layout in which models train."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from probes.networks.axes import split


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Examples of n_tokens each, padded on the right, side by side.

    Attributes:
        reads: Which tokens of every example are read, (n_stacks or 1, n_examples,
            n_reads).
        n_tokens: Tokens of every example.
    """

    reads: Tensor
    n_tokens: int
    _masks: dict[tuple[int | None, bool], Tensor] = field(default_factory=dict)

    @property
    def n_examples(self) -> int:
        """Examples of each stack."""
        return int(self.reads.shape[1])

    @property
    def positions(self) -> Tensor:
        """Positions of all tokens, shape (1, n_examples · n_tokens)."""
        steps = torch.arange(self.n_tokens, device=self.reads.device)
        return steps.repeat(self.n_examples)[None]

    @property
    def rows(self) -> Tensor:
        """Where the tokens that are read stand among all, (…, n_rows)."""
        begins = torch.arange(self.n_examples, device=self.reads.device) * self.n_tokens
        return (self.reads + begins[:, None]).flatten(1)

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        layer: int,
        window: int | None,
        of_rows: bool,
    ) -> Tensor:
        """Attend within every example (see ``networks.llama.Layout``)."""
        del layer
        return self.attended(query, key, value, window=window, of_rows=of_rows)[0]

    def attended(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        window: int | None,
        of_rows: bool,
    ) -> tuple[Tensor, Tensor]:
        """Do so, and give the attention weights beside what was seen.

        Shape (n_stacks, n_examples, n_key_heads, groups · n_asking, n_tokens).
        """
        n_key_heads = key.shape[2]
        groups = query.shape[2] // n_key_heads
        asked = self._asked(query, n_key_heads)
        keys, values = self._by_example(key), self._by_example(value)
        scores = split(asked @ keys.transpose(-1, -2), 3, groups, -1)
        scores += self._mask(scores, window, of_rows)
        weights = torch.softmax(scores, dim=-1).flatten(3, 4)
        return self._in_line(weights @ values, groups), weights

    def back(
        self,
        gradient: Tensor,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        weights: Tensor,
        *,
        of_scores: bool,
    ) -> tuple[Tensor | None, Tensor | None, Tensor]:
        """Carry the gradient of what was seen back to queries, keys and values.

        Args:
            gradient: In the shape of what was seen.
            query: As in :meth:`attended`; so are key and value.
            key: See there.
            value: See there.
            weights: What it gave.
            of_scores: Whether anybody wants the gradients of queries and keys.

        Returns:
            In the shapes of the three; None for two that are not wanted.
        """
        groups = query.shape[2] // key.shape[2]
        by_head = split(gradient, -1, query.shape[2], -1)
        seen = self._asked(by_head, key.shape[2])
        of_value = self._in_line(weights.transpose(-1, -2) @ seen, 1)
        of_value = of_value.view(*of_value.shape[:2], *value.shape[2:])
        if not of_scores:
            return None, None, of_value
        keys, values = self._by_example(key), self._by_example(value)
        of_weights = seen @ values.transpose(-1, -2)
        of_scores_ = torch.ops.aten._softmax_backward_data(
            of_weights, weights, -1, weights.dtype
        )
        asked = self._asked(query, key.shape[2])
        of_query = self._in_line(of_scores_ @ keys, groups)
        of_key = self._in_line(of_scores_.transpose(-1, -2) @ asked, 1)
        return (
            of_query.view(*of_query.shape[:2], *query.shape[2:]),
            of_key.view(*of_key.shape[:2], *key.shape[2:]),
            of_value,
        )

    def _asked(self, query: Tensor, n_key_heads: int) -> Tensor:
        """Order what asks by the heads that it asks.

        Returns:
            Shape (n_stacks or 1, n_examples, n_key_heads, groups · n_asking, d_head).
        """
        asked = split(query, 1, self.n_examples, -1)
        asked = split(asked, 3, n_key_heads, -1).permute(0, 1, 3, 4, 2, 5)
        return asked.flatten(3, 4)

    def _by_example(self, tokens: Tensor) -> Tensor:
        """Shape (n_stacks or 1, n_examples, n_key_heads, n_tokens, d_head)."""
        return split(tokens, 1, self.n_examples, -1).transpose(2, 3)

    def _in_line(self, heads: Tensor, groups: int) -> Tensor:
        """Undo both orders: (n_stacks, n_examples · n, n_heads · d_head)."""
        found = split(heads, 3, groups, -1).permute(0, 1, 4, 2, 3, 5)
        return found.flatten(3, 5).flatten(1, 2)

    def _mask(self, like: Tensor, window: int | None, of_rows: bool) -> Tensor:
        """Write what may not be seen as −∞; shape (…, n_asking, n_tokens)."""
        if (window, of_rows) not in self._masks:
            self._masks[window, of_rows] = self._new_mask(like, window, of_rows)
        return self._masks[window, of_rows]

    def _new_mask(self, like: Tensor, window: int | None, of_rows: bool) -> Tensor:
        steps = torch.arange(self.n_tokens, device=like.device)
        asking = self.reads[..., None] if of_rows else steps[:, None]
        hidden = steps > asking
        if window is not None:
            hidden = hidden | (steps <= asking - window)
        mask = torch.zeros(hidden.shape, dtype=like.dtype, device=like.device)
        mask.masked_fill_(hidden, float("-inf"))
        return mask[:, :, None, None] if of_rows else mask
