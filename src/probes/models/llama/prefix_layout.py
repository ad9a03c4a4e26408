"""The place of every token of prefix trees in one sequence, without padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from probes.models.llama.prefix_tree import PrefixTree
from probes.models.llama.ragged import RaggedRows


@dataclass(frozen=True, kw_only=True)
class PrefixLayout:
    """The tokens of prefix trees in one pass: all prefixes, then all suffixes.

    Attributes:
        ids: All tokens, shape (1, n_tokens).
        positions: Each token's position in its prompt, same shape.
        rows: The tokens that are read, suffix by suffix, shape (1, n_rows).
        prefixes: The prefixes as rows of a grid, rows (n_trees,).
        suffixes: The suffixes as rows of a grid, rows (n_trees, n_suffixes).
        has_prefixes: Whether this pass computes the prefixes; an earlier one may have.
        reads_last: Whether exactly the last token of every suffix is read.
    """

    ids: Tensor
    positions: Tensor
    rows: Tensor
    prefixes: RaggedRows
    suffixes: RaggedRows
    has_prefixes: bool
    reads_last: bool
    _masks: dict[tuple[int | None, bool], tuple[Tensor | None, Tensor]] = field(
        default_factory=dict
    )

    @classmethod
    def of(
        cls,
        trees: Sequence[PrefixTree],
        device: torch.device,
        *,
        after: PrefixLayout | None = None,
    ) -> PrefixLayout:
        """Lay out trees.

        Args:
            trees: Each with the same number of suffixes.
            device: Where the model is.
            after: The layout of an earlier pass that computed the same prefixes.
        """
        prefixes = [] if after is not None else [list(t.prefix) for t in trees]
        suffixes = [list(suffix) for tree in trees for suffix in tree.suffixes]
        starts = [len(tree.prefix) for tree in trees for _ in tree.suffixes]
        tokens = [token for part in (*prefixes, *suffixes) for token in part]
        positions = [i for prefix in prefixes for i in range(len(prefix))]
        positions += [
            start + i
            for start, suffix in zip(starts, suffixes, strict=True)
            for i in range(len(suffix))
        ]
        lengths = torch.tensor([len(suffix) for suffix in suffixes])
        last = sum(map(len, prefixes)) + lengths.cumsum(0) - 1
        n_read = [n for tree in trees for n in tree.n_read]
        rows = [
            row - back
            for row, n in zip(last.tolist(), n_read, strict=True)
            for back in reversed(range(n))
        ]
        shape = (len(trees), len(trees[0].suffixes))
        grid = after.prefixes if after is not None else _prefix_rows(trees, device)
        return cls(
            ids=torch.tensor([tokens], device=device),
            positions=torch.tensor([positions], device=device),
            rows=torch.tensor([rows], device=device),
            prefixes=grid,
            suffixes=RaggedRows.of(lengths.reshape(shape).to(device)),
            has_prefixes=after is None,
            reads_last=max(n_read) == 1,
        )

    @cached_property
    def n_prefix_tokens(self) -> int:
        """Tokens of prefixes that this pass computes."""
        return int(self.prefixes.lengths.sum()) if self.has_prefixes else 0

    @cached_property
    def suffix_of_token(self) -> Tensor:
        """The suffix that each suffix token belongs to, shape (n_suffix_tokens,)."""
        lengths = self.suffixes.lengths.flatten()
        return torch.arange(len(lengths), device=lengths.device).repeat_interleave(
            lengths
        )

    @cached_property
    def suffixes_by_tree(self) -> RaggedRows:
        """The suffix tokens of each tree as one row, without padding between them."""
        return RaggedRows.of(self.suffixes.lengths.sum(dim=1))

    def masks(
        self, window: int | None, *, of_rows: bool
    ) -> tuple[Tensor | None, Tensor]:
        """Mask the keys that a suffix token does not attend to.

        Args:
            window: How many tokens back a token attends; None is all.
            of_rows: Whether only the last token of each suffix asks.

        Returns:
            A mask of the prefix's keys, or None if nothing is masked, and one of the
            suffix's own; shape (n_trees or 1, 1, n_suffixes or 1, 1, n_asking, n_keys).
        """
        if (window, of_rows) not in self._masks:
            self._masks[window, of_rows] = self._new_masks(window, of_rows)
        return self._masks[window, of_rows]

    def _new_masks(
        self, window: int | None, of_rows: bool
    ) -> tuple[Tensor | None, Tensor]:
        device = self.suffixes.lengths.device
        starts = self.prefixes.lengths[:, None, None]
        if bool((starts == starts[0]).all()):
            starts = starts[:1]
        own = starts + torch.arange(self.suffixes.width, device=device)
        # (n_trees or 1, 1, n_tokens)
        asking = own
        if of_rows:
            asking = starts + (self.suffixes.lengths - 1)[..., None]
        prefix = torch.arange(self.prefixes.width, device=device)
        prefix = prefix.expand(*own.shape[:2], -1)
        prefix = prefix.masked_fill(prefix >= starts, 1 << 40)  # masks padding
        of_prefix, of_own = (
            _masked(keys[..., None, :], asking[..., None], window)[:, None, :, None]
            for keys in (prefix, own)
        )
        return (of_prefix if bool(of_prefix.any()) else None), of_own


def _prefix_rows(trees: Sequence[PrefixTree], device: torch.device) -> RaggedRows:
    lengths = torch.tensor([len(tree.prefix) for tree in trees])
    return RaggedRows.of(lengths.to(device))


def _masked(keys: Tensor, asking: Tensor, window: int | None) -> Tensor:
    """Mask positions that come after a token, or too long before it."""
    masked = keys > asking
    return masked if window is None else masked | (keys <= asking - window)
