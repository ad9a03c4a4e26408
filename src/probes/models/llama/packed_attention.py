"""Attention within each packed example, and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from probes.models.llama.attention_backward import (
    FusedAttention,
    supports_fused_backward,
)
from probes.models.llama.axes import split
from probes.models.llama.packed_sequences import PackedSequences

AttentionBackward = Callable[[Tensor], tuple[Tensor | None, Tensor | None, Tensor]]
"""Computes the gradients of queries, keys and values from that of the result. The first
two are None if they are not needed."""


@dataclass(frozen=True, kw_only=True)
class PackedAttention:
    """Attends within packed examples (an ``AttentionLayout``).

    Attributes:
        sequences: Where the tokens stand.
    """

    sequences: PackedSequences

    @classmethod
    def of(
        cls, lengths: Tensor, reads: Tensor, *, in_one_line: bool = False
    ) -> PackedAttention:
        """Pack examples (see ``PackedSequences.of``)."""
        return cls(
            sequences=PackedSequences.of(lengths, reads, in_one_line=in_one_line)
        )

    @property
    def positions(self) -> Tensor:
        """Each token's position in its example, shape (n_lines, n_tokens)."""
        return self.sequences.positions

    @property
    def rows(self) -> Tensor:
        """The tokens of each line that are read, shape (n_lines, n_rows)."""
        return self.sequences.rows

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        layer: int,
        window: int | None,
    ) -> Tensor:
        """Attend from every token within its example (see ``AttentionLayout``)."""
        del layer
        seen, _ = self.with_backward(
            query, key, value, window=window, of_rows=False, of_scores=True
        )
        return seen

    def attend_from_rows(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        layer: int,
        window: int | None,
    ) -> Tensor:
        """Attend from the tokens that are read (see ``AttentionLayout``)."""
        del layer
        seen, _ = self.with_backward(
            query, key, value, window=window, of_rows=True, of_scores=False
        )
        return split(seen, 2, query.shape[2], -1)

    def with_backward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        window: int | None,
        of_rows: bool,
        of_scores: bool,
    ) -> tuple[Tensor, AttentionBackward]:
        """Attend, and return the function that computes gradients too.

        Args:
            query: As in :meth:`attend`, or in :meth:`attend_from_rows` if of_rows.
            key: Same.
            value: Same.
            window: How many tokens back a token attends; None is all.
            of_rows: Whether only the tokens that are read ask.
            of_scores: Whether gradients of queries and keys are needed.
        """
        # With several examples, batched products are as fast as fused attention.
        is_alone = len(self.sequences.starts) == 1
        if is_alone and of_scores and not of_rows and supports_fused_backward(query):
            fused = self._fused(query, key, value, window)
            if fused is not None:
                return fused
        mask = self.sequences.mask(query, window, of_rows=of_rows)
        return self._plain(
            query, key, value, mask, of_rows=of_rows, of_scores=of_scores
        )

    def _plain(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor,
        *,
        of_rows: bool,
        of_scores: bool,
    ) -> tuple[Tensor, AttentionBackward]:
        """Attend with scores written (see :meth:`with_backward`)."""
        groups = query.shape[2] // key.shape[2]
        asking = self._by_example(query, groups, of_rows)
        keys, values = self._by_example(key), self._by_example(value)
        scores = split(asking @ keys.transpose(-1, -2), 3, groups, -1)
        scores += mask
        weights = torch.softmax(scores, dim=-1).flatten(3, 4)

        def backward(gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor]:
            heads = split(gradient, -1, query.shape[2], -1)
            of_seen = self._by_example(heads, groups, of_rows, is_gradient=True)
            of_value = self._by_token(
                weights.transpose(-1, -2) @ of_seen, is_gradient=True
            )
            if not of_scores:
                return None, None, of_value
            gradients = torch.ops.aten._softmax_backward_data(
                of_seen @ values.transpose(-1, -2), weights, -1, weights.dtype
            )
            of_query = self._by_token(
                gradients @ keys, groups, of_rows, is_gradient=True
            )
            of_key = gradients.transpose(-1, -2) @ asking
            return of_query, self._by_token(of_key, is_gradient=True), of_value

        return self._by_token(weights @ values, groups, of_rows).flatten(2), backward

    def _fused(
        self, query: Tensor, key: Tensor, value: Tensor, window: int | None
    ) -> tuple[Tensor, AttentionBackward] | None:
        """Attend within the only example; None if a score may have overflowed."""
        is_masking = window is not None and window < self.sequences.width
        mask = self.sequences.mask(query, window, of_rows=False) if is_masking else None
        fused = FusedAttention.of(
            query[:, None], key[:, None], value[:, None], mask=mask
        )
        if fused.may_have_overflowed:
            return None

        def backward(gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return fused.backward(split(gradient, -1, query.shape[2], -1))

        return fused.tokens.flatten(2), backward

    def _by_example(
        self,
        heads: Tensor,
        groups: int = 1,
        of_rows: bool = False,
        *,
        is_gradient: bool = False,
    ) -> Tensor:
        """Order heads of tokens, (n_stacks or 1, n, n_heads, d), by example and head.

        Returns:
            Shape (n_stacks or 1, n_all_examples, n_key_heads, groups · n_asking, d).
        """
        n_lines = len(self.sequences.padded_index)
        line = heads if n_lines == 1 else heads.flatten(0, 1)[None]
        order = self.sequences.head_order(heads.shape[2], of_rows=of_rows)
        slots = order.to_slots(line.flatten(1, 2), is_gradient=is_gradient)
        n_examples = len(self.sequences.starts)
        return split(slots, 1, n_examples, heads.shape[2] // groups, -1)

    def _by_token(
        self,
        ordered: Tensor,
        groups: int = 1,
        of_rows: bool = False,
        *,
        is_gradient: bool = False,
    ) -> Tensor:
        """Undo :meth:`_by_example`, shape (n_stacks or 1, n, n_heads, d)."""
        n_heads = ordered.shape[2] * groups
        n_lines = len(self.sequences.padded_index)
        order = self.sequences.head_order(n_heads, of_rows=of_rows)
        heads = split(order.from_slots(ordered.flatten(1, 3)), 1, -1, n_heads)
        if n_lines == 1:
            return heads
        heads = split(heads[0], 0, n_lines, -1)
        is_padded = is_gradient and not of_rows
        return self.sequences.clear_padding(heads) if is_padded else heads
