"""Examples packed in one sequence without padding: where each token stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from probes.models.llama.axes import split
from probes.models.llama.head_order import HeadOrder
from probes.models.llama.ragged import RaggedRows


@dataclass(frozen=True, kw_only=True)
class PackedSequences:
    """The examples of several stacks, packed in lines.

    Either every stack has a line, padded at its end to the longest, or all stacks share
    one line, which has no padding.

    Attributes:
        lengths: Tokens of every example, shape (n_stacks or 1, n_examples).
        reads: Tokens of each example that are read, (n_stacks or 1, n_examples,
            n_reads).
        width: Tokens of the longest example.
        stacks: The stacks as rows of a grid, rows (n_stacks or 1,).
        padding: Slots of that grid without a token; None if there are none.
        padded_index: Each token's index among examples padded to the longest, shape
            (n_lines, n_tokens).
        starts: Each example's first token, counted through all lines,
            (n_all_examples,).
    """

    lengths: Tensor
    reads: Tensor
    width: int
    stacks: RaggedRows
    padding: Tensor | None
    padded_index: Tensor
    starts: Tensor
    _orders: dict[tuple[int, bool], HeadOrder] = field(default_factory=dict)
    _masks: dict[tuple[int | None, bool], Tensor] = field(default_factory=dict)

    @classmethod
    def of(
        cls, lengths: Tensor, reads: Tensor, *, in_one_line: bool = False
    ) -> PackedSequences:
        """Pack examples.

        Args:
            lengths: Tokens of every example, at least 1, shape (n_stacks or 1,
                n_examples).
            reads: Positions of the tokens that are read in every example, shape
                (n_stacks or 1, n_examples, n_reads).
            in_one_line: Whether all stacks share one line.
        """
        width, stacks = int(lengths.max()), RaggedRows.of(lengths.sum(dim=1))
        steps = torch.arange(width, device=lengths.device)
        padded_index = (steps < lengths[..., None]).flatten().nonzero().t()
        before = stacks.lengths.cumsum(0) - stacks.lengths
        if not in_one_line:
            padded_index = stacks.pad(padded_index)[0]
            before = torch.arange(len(before), device=lengths.device) * stacks.width
        return cls(
            lengths=lengths,
            reads=reads,
            width=width,
            stacks=stacks,
            padding=_padding(stacks),
            padded_index=padded_index,
            starts=(lengths.cumsum(dim=1) - lengths + before[:, None]).flatten(),
        )

    @cached_property
    def positions(self) -> Tensor:
        """Each token's position in its example, shape (n_lines, n_tokens)."""
        return self.padded_index % self.width

    @cached_property
    def rows(self) -> Tensor:
        """The tokens of each line that are read, shape (n_lines, n_rows)."""
        n_lines, n_tokens = self.padded_index.shape
        starts = self.starts.reshape(self.lengths.shape)[..., None]
        rows = (self.reads + starts).reshape(n_lines, -1)
        return rows - n_tokens * torch.arange(n_lines, device=rows.device)[:, None]

    @property
    def has_line_per_stack(self) -> bool:
        """Whether every stack has a line of its own."""
        return len(self.padded_index) == len(self.lengths)

    def pack(self, padded: Tensor) -> Tensor:
        """Take the tokens of padded examples, shape (n_lines, n_tokens, …).

        Args:
            padded: Shape (n_stacks or 1, n_examples, n, …).
        """
        kept = padded[:, :, : self.width].flatten(0, 2)
        tokens = kept.index_select(0, self.padded_index.flatten())
        return split(tokens, 0, *self.padded_index.shape)

    def by_stack(
        self, line: Tensor, *, of_rows: bool, is_gradient: bool = False
    ) -> Tensor:
        """Give every stack its tokens or rows, shape (n_stacks, n, …).

        Padding is some other token, or zero for a gradient.
        """
        if self.has_line_per_stack:
            return line
        if of_rows:
            return split(line[0], 0, len(self.lengths), -1)
        stacks = self.stacks.pad(line)[0]
        return self.clear_padding(stacks) if is_gradient else stacks

    def in_lines(self, stacks: Tensor, *, of_rows: bool) -> Tensor:
        """Undo :meth:`by_stack`, shape (n_lines, n, …)."""
        if self.has_line_per_stack:
            return stacks
        line = stacks.flatten(0, 1)[None]
        return line if of_rows else self.stacks.unpad(line)

    def clear_padding(self, stacks: Tensor) -> Tensor:
        """Write zeros where there is no token, in place, (n_stacks, n_tokens, …)."""
        if self.padding is not None:
            stacks.flatten(0, 1).index_fill_(0, self.padding, 0.0)
        return stacks

    def head_order(self, n_heads: int, *, of_rows: bool) -> HeadOrder:
        """Order the heads of all tokens, or of those read, by example and head."""
        if (n_heads, of_rows) not in self._orders:
            padded_index, starts = self.padded_index.flatten(), self.starts
            lengths = self.lengths.flatten()
            if of_rows:
                lengths = torch.full_like(lengths, self.reads.shape[2])
                starts = lengths.cumsum(0) - lengths
                padded_index = torch.arange(
                    int(lengths.sum()), device=padded_index.device
                )
            self._orders[n_heads, of_rows] = HeadOrder.of(
                padded_index, starts, lengths, n_heads=n_heads
            )
        return self._orders[n_heads, of_rows]

    def mask(self, like: Tensor, window: int | None, *, of_rows: bool) -> Tensor:
        """Write −∞ for each key that a token does not attend to.

        Args:
            like: A tensor of the same precision and device.
            window: How many tokens back a token attends; None is all.
            of_rows: Whether only the tokens that are read ask.

        Returns:
            Shape (…, n_asking, width).
        """
        if (window, of_rows) not in self._masks:
            self._masks[window, of_rows] = self._new_mask(like, window, of_rows)
        return self._masks[window, of_rows]

    def _new_mask(self, like: Tensor, window: int | None, of_rows: bool) -> Tensor:
        steps = torch.arange(self.width, device=like.device)
        asking = self.reads.flatten(0, 1)[..., None] if of_rows else steps[:, None]
        is_masked = steps > asking
        if window is not None:
            is_masked = is_masked | (steps <= asking - window)
        mask = torch.zeros(is_masked.shape, dtype=like.dtype, device=like.device)
        mask.masked_fill_(is_masked, float("-inf"))
        return mask[:, None, None] if of_rows else mask


def _padding(stacks: RaggedRows) -> Tensor | None:
    """Find the slots of a grid without a token."""
    if stacks.real is None or stacks.source is None:
        return None
    is_padding = torch.ones_like(stacks.source, dtype=torch.bool)
    return is_padding.index_fill_(0, stacks.real, False).nonzero()[:, 0]
