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
        n_key_heads = key.shape[2]
        groups = query.shape[2] // n_key_heads
        asked = split(query, 1, self.n_examples, -1)
        asked = split(asked, 3, n_key_heads, groups).permute(0, 1, 3, 4, 2, 5)
        keys, values = (
            split(t, 1, self.n_examples, -1).transpose(2, 3) for t in (key, value)
        )  # (n_stacks or 1, n_examples, n_key_heads, n_tokens, d_head)
        scores = asked.flatten(3, 4) @ keys.transpose(-1, -2)
        scores = split(scores, 3, groups, -1) + self._mask(scores, window, of_rows)
        weights = torch.softmax(scores, dim=-1).flatten(3, 4)
        seen = split(weights @ values, 3, groups, -1)
        # (n_stacks, n_examples, n_key_heads, groups, n_asking, d_head)
        return seen.permute(0, 1, 4, 2, 3, 5).flatten(3, 5).flatten(1, 2)

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
