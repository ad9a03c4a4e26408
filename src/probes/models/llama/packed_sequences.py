"""Examples side by side without padding, a block each: the layout of training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from probes.models.llama.attention_backward import Seen, is_learned
from probes.models.llama.axes import split
from probes.models.llama.ragged import Order, RaggedRows

BackToAll = Callable[[Tensor], tuple[Tensor | None, Tensor | None, Tensor]]
"""Takes the gradient of what was seen, in its shape; gives those of queries, keys and
values, in the shapes of these, and None for two that nobody wants."""


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Examples of several stacks, their tokens in lines (a ``networks.llama.Layout``).

    Every stack has a line, filled up at its end to the longest; or all stand in one,
    which holds no token that is not an example's.

    Attributes:
        lengths: Tokens of every example, shape (n_stacks or 1, n_examples).
        reads: Which of them are read, (n_stacks or 1, n_examples, n_reads).
        width: Tokens of the longest example.
        stacks: The grid of stacks, rows (n_stacks or 1,).
        filling: Places of that grid that no token has; None if there are none.
        places: Every token's place among examples padded to the longest, shape
            (n_lines, n_tokens).
        begins: Where examples begin, counted through all lines, (n_all_examples,).
    """

    lengths: Tensor
    reads: Tensor
    width: int
    stacks: RaggedRows
    filling: Tensor | None
    places: Tensor
    begins: Tensor
    _orders: dict[tuple[int, bool], Order] = field(default_factory=dict)
    _masks: dict[tuple[int | None, bool], Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, lengths: Tensor, reads: Tensor, *, in_one_line: bool = False) -> Blocks:
        """Lay out examples.

        Args:
            lengths: Of every example, at least 1, shape (n_stacks or 1, n_examples).
            reads: Positions of the tokens that are read in every example, shape
                (n_stacks or 1, n_examples, n_reads).
            in_one_line: Whether all stacks stand in one line.
        """
        width, stacks = int(lengths.max()), RaggedRows.of(lengths.sum(dim=1))
        steps = torch.arange(width, device=lengths.device)
        places = (steps < lengths[..., None]).flatten().nonzero().t()
        before = stacks.lengths.cumsum(0) - stacks.lengths
        if not in_one_line:
            places = stacks.pad(places)[0]
            before = torch.arange(len(before), device=lengths.device) * stacks.width
        return cls(
            lengths=lengths,
            reads=reads,
            width=width,
            stacks=stacks,
            filling=_filling(stacks),
            places=places,
            begins=(lengths.cumsum(dim=1) - lengths + before[:, None]).flatten(),
        )

    @cached_property
    def positions(self) -> Tensor:
        """Positions of all tokens in their examples, shape (n_lines, n_tokens)."""
        return self.places % self.width

    @cached_property
    def rows(self) -> Tensor:
        """Where the tokens that are read stand in their lines, (n_lines, n_rows)."""
        n_lines, n_tokens = self.places.shape
        begins = self.begins.reshape(self.lengths.shape)[..., None]
        found = (self.reads + begins).reshape(n_lines, -1)
        return found - n_tokens * torch.arange(n_lines, device=found.device)[:, None]

    @property
    def is_apart(self) -> bool:
        """Whether every stack has a line of its own."""
        return len(self.places) == len(self.lengths)

    def line_up(self, padded: Tensor) -> Tensor:
        """Take the tokens of padded examples, shape (n_lines, n_tokens, …).

        Args:
            padded: Shape (n_stacks or 1, n_examples, n, …).
        """
        kept = padded[:, :, : self.width].flatten(0, 2)
        found = kept.index_select(0, self.places.flatten())
        return split(found, 0, *self.places.shape)

    def apart(
        self, line: Tensor, *, of_rows: bool, is_gradient: bool = False
    ) -> Tensor:
        """Give every stack its tokens or rows, shape (n_stacks, n, …).

        What fills up is some other token; zero, if it is a gradient.
        """
        if self.is_apart:
            return line
        if of_rows:
            return split(line[0], 0, len(self.lengths), -1)
        found = self.stacks.pad(line)[0]
        return self._cleared(found) if is_gradient else found

    def together(self, apart: Tensor, *, of_rows: bool) -> Tensor:
        """Undo :meth:`apart`, shape (n_lines, n, …)."""
        if self.is_apart:
            return apart
        found = apart.flatten(0, 1)[None]
        return found if of_rows else self.stacks.unpad(found)

    def _cleared(self, by_stack: Tensor) -> Tensor:
        """Write zeros in place where no token is, (n_stacks, n_tokens, …)."""
        if self.filling is not None:
            by_stack.flatten(0, 1).index_fill_(0, self.filling, 0.0)
        return by_stack

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        layer: int,
        window: int | None,
    ) -> Tensor:
        """Attend within every example (see ``networks.llama.Layout``)."""
        del layer
        found, _ = self.attended(
            query, key, value, window=window, of_rows=False, of_scores=True
        )
        return found

    def attend_from_rows(
        self,
        query: Tensor,
        key: Tensor,
        shown: Tensor,
        *,
        layer: int,
        window: int | None,
    ) -> Tensor:
        """Attend from the tokens that are read (see ``networks.llama.Layout``)."""
        del layer
        seen, _ = self.attended(
            query, key, shown, window=window, of_rows=True, of_scores=False
        )
        return split(seen, 2, query.shape[2], -1)

    def attended(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        window: int | None,
        of_rows: bool,
        of_scores: bool,
    ) -> tuple[Tensor, BackToAll]:
        """Do so, and tell how a gradient of what was seen comes back.

        Args:
            query: As in :meth:`attend`, or :meth:`attend_from_rows`.
            key: See there.
            value: See there.
            window: See there.
            of_rows: Whether the tokens that are read ask, and not all.
            of_scores: Whether anybody wants the gradients of queries and keys, and not
                that of values alone.
        """
        is_alone = len(self.begins) == 1  # of several, batched products are as fast
        if is_alone and of_scores and not of_rows and is_learned(query):
            found = self._fused(query, key, value, window)
            if found is not None:
                return found
        groups = query.shape[2] // key.shape[2]
        asked = self._ordered(query, groups, of_rows)
        keys, values = self._ordered(key), self._ordered(value)
        scores = split(asked @ keys.transpose(-1, -2), 3, groups, -1)
        scores += self._mask(scores, window, of_rows)
        weights = torch.softmax(scores, dim=-1).flatten(3, 4)

        def back(gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor]:
            by_head = split(gradient, -1, query.shape[2], -1)
            seen = self._ordered(by_head, groups, of_rows, is_gradient=True)
            of_value = weights.transpose(-1, -2) @ seen
            of_value = self._disordered(of_value, is_gradient=True)
            if not of_scores:
                return None, None, of_value
            of_weights = seen @ values.transpose(-1, -2)
            of_scores_ = torch.ops.aten._softmax_backward_data(
                of_weights, weights, -1, weights.dtype
            )
            of_query = self._disordered(
                of_scores_ @ keys, groups, of_rows, is_gradient=True
            )
            of_key = of_scores_.transpose(-1, -2) @ asked
            return of_query, self._disordered(of_key, is_gradient=True), of_value

        return self._disordered(weights @ values, groups, of_rows).flatten(2), back

    def _fused(
        self, query: Tensor, key: Tensor, value: Tensor, window: int | None
    ) -> tuple[Tensor, BackToAll] | None:
        """Attend within the only example; None if some score may have overflowed."""
        is_hiding = window is not None and window < self.width
        mask = self._mask(query, window, of_rows=False) if is_hiding else None
        seen = Seen.of(query[:, None], key[:, None], value[:, None], mask=mask)
        if seen.is_doubtful:
            return None

        def back(gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return seen.back(split(gradient, -1, query.shape[2], -1))

        return seen.tokens.flatten(2), back

    def _ordered(
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
        in_one = heads if len(self.places) == 1 else heads.flatten(0, 1)[None]
        order = self._order(heads.shape[2], of_rows)
        found = order.put(in_one.flatten(1, 2), is_gradient=is_gradient)
        return split(found, 1, len(self.begins), heads.shape[2] // groups, -1)

    def _disordered(
        self,
        ordered: Tensor,
        groups: int = 1,
        of_rows: bool = False,
        *,
        is_gradient: bool = False,
    ) -> Tensor:
        """Undo it, shape (n_stacks or 1, n, n_heads, d)."""
        n_heads, n_lines = ordered.shape[2] * groups, len(self.places)
        found = self._order(n_heads, of_rows).take(ordered.flatten(1, 3))
        found = split(found, 1, -1, n_heads)
        if n_lines == 1:
            return found
        found = split(found[0], 0, n_lines, -1)
        return self._cleared(found) if is_gradient and not of_rows else found

    def _order(self, n_heads: int, of_rows: bool) -> Order:
        if (n_heads, of_rows) not in self._orders:
            places, begins = self.places.flatten(), self.begins
            lengths = self.lengths.flatten()
            if of_rows:
                lengths = torch.full_like(lengths, self.reads.shape[2])
                begins = lengths.cumsum(0) - lengths
                places = torch.arange(int(lengths.sum()), device=places.device)
            self._orders[n_heads, of_rows] = Order.of(
                places, begins, lengths, n_heads=n_heads
            )
        return self._orders[n_heads, of_rows]

    def _mask(self, like: Tensor, window: int | None, of_rows: bool) -> Tensor:
        """Write what may not be seen as −∞; shape (…, n_asking, width)."""
        if (window, of_rows) not in self._masks:
            self._masks[window, of_rows] = self._new_mask(like, window, of_rows)
        return self._masks[window, of_rows]

    def _new_mask(self, like: Tensor, window: int | None, of_rows: bool) -> Tensor:
        steps = torch.arange(self.width, device=like.device)
        asking = self.reads.flatten(0, 1)[..., None] if of_rows else steps[:, None]
        hidden = steps > asking
        if window is not None:
            hidden = hidden | (steps <= asking - window)
        mask = torch.zeros(hidden.shape, dtype=like.dtype, device=like.device)
        mask.masked_fill_(hidden, float("-inf"))
        return mask[:, None, None] if of_rows else mask


def _filling(stacks: RaggedRows) -> Tensor | None:
    """Give the places of a grid that no token has."""
    if stacks.real is None or stacks.shown is None:
        return None
    is_filling = torch.ones_like(stacks.shown, dtype=torch.bool)
    return is_filling.index_fill_(0, stacks.real, False).nonzero()[:, 0]
