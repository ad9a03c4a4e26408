"""Prompts that share their beginnings, side by side: each beginning is computed once.

Every group of prompts is a tree, its common prefix the stem. All tokens of all stems
and of what follows them stand in one sequence without padding; attention to a stem is
one product for all that grew from it, so no prompt has a copy of its keys and values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from probes.models.llama.axes import product, split
from probes.models.llama.fused_attention import attended, is_doubtful, is_fused, joined
from probes.models.llama.prefix_tree import Tree
from probes.models.llama.ragged import RaggedRows, causally


@dataclass(kw_only=True)
class Forest:
    """Trees of equally many leaves in one pass (see ``networks.llama.Layout``).

    For asking only: no gradient passes through it.

    Attributes:
        ids: All tokens, the stems first, shape (1, n_tokens).
        positions: Of every token in its prompt, same shape.
        rows: The last token of every leaf, shape (1, n_trees · n_leaves).
        stems: The grid of stems, rows (n_trees,).
        leaves: The grid of leaves, rows (n_trees, n_leaves).
        kept: Keys of stems and what they show (values, or in the last layer what
            enters it) by layer, from a pass before or this one.
        has_stems: Whether the stems' tokens are in this pass.
    """

    ids: Tensor
    positions: Tensor
    rows: Tensor
    stems: RaggedRows
    leaves: RaggedRows
    kept: dict[int, tuple[Tensor, Tensor]]
    has_stems: bool
    _masks: dict[tuple[int | None, bool], tuple[Tensor | None, Tensor]] = field(
        default_factory=dict
    )

    @classmethod
    def of(
        cls,
        trees: Sequence[Tree],
        device: torch.device,
        *,
        after: Forest | None = None,
    ) -> Forest:
        """Lay out trees.

        Args:
            trees: Of equally many leaves each.
            device: Where the model is.
            after: The pass that computed the stems of these trees, if one did.
        """
        stems = [] if after is not None else [list(t.stem) for t in trees]
        leaves = [list(leaf) for tree in trees for leaf in tree.leaves]
        begins = [len(tree.stem) for tree in trees for _ in tree.leaves]
        tokens = [token for part in (*stems, *leaves) for token in part]
        steps = [step for stem in stems for step in range(len(stem))]
        steps += [
            b + i
            for b, leaf in zip(begins, leaves, strict=True)
            for i in range(len(leaf))
        ]
        lengths = torch.tensor([len(leaf) for leaf in leaves])
        rows = sum(map(len, stems)) + lengths.cumsum(0) - 1
        shape = (len(trees), len(trees[0].leaves))
        begun = torch.tensor([len(tree.stem) for tree in trees])
        return cls(
            ids=torch.tensor([tokens], device=device),
            positions=torch.tensor([steps], device=device),
            rows=rows[None].to(device),
            stems=after.stems if after else RaggedRows.of(begun.to(device)),
            leaves=RaggedRows.of(lengths.reshape(shape).to(device)),
            kept=after.kept if after else {},
            has_stems=after is None,
        )

    @cached_property
    def _n_stem_tokens(self) -> int:
        return int(self.stems.lengths.sum()) if self.has_stems else 0

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        layer: int,
        window: int | None,
    ) -> Tensor:
        """Attend within stems, and from leaves to their stem and themselves."""
        n, parts = self._n_stem_tokens, []
        if self._keep(layer, key, value):
            stems = self.stems, query[:, :n], *self.kept[layer]
            parts.append(causally(*stems, window))
        asking = query[:, n:]
        own = self.leaves.pad(key[:, n:]), self.leaves.pad(value[:, n:])
        if not self.stems.width:
            parts.append(causally(self.leaves, asking, *own, window))
        else:
            seen = None
            if self._is_fused(asking, window):
                seen = self._from_leaves_fused(asking, *own, layer)
            if seen is None:
                seen = self._from_leaves(asking, *own, layer, window)
            parts.append(seen)
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]

    def attend_from_rows(
        self,
        query: Tensor,
        key: Tensor,
        shown: Tensor,
        *,
        layer: int,
        window: int | None,
    ) -> Tensor:
        """Attend from the last token of every leaf to its stem and to itself."""
        n, (n_trees, n_leaves) = self._n_stem_tokens, self.leaves.lengths.shape
        self._keep(layer, key, shown)
        asked = split(split(query, 2, key.shape[2], -1), 1, n_trees, n_leaves)
        # (n_stacks or 1, n_trees, n_leaves, n_key_heads, groups, d_head)
        of_stem, of_own = self._hidden(window, of_rows=True)
        scores = [
            self._to_own(asked, key[:, n:]).masked_fill_(of_own[:, 0], -torch.inf)
        ]
        if self.stems.width:
            stem_keys, stem_shown = self.kept[layer]
            beside = asked.transpose(2, 3).flatten(3, 4)  # all that ask of a stem
            found = product(beside, stem_keys.permute(0, 1, 3, 4, 2))
            found = split(found, 3, n_leaves, -1).transpose(2, 3)
            if of_stem is not None:
                found = found.masked_fill(of_stem[:, 0], -torch.inf)
            scores.append(found)
        weights = torch.softmax(torch.cat(scores, dim=-1), dim=-1).flatten(3, 4)
        weights = split(weights, 3, shown.shape[2], -1)  # by what shows, then who asks
        width = self.leaves.width
        own_shown = self.leaves.pad(shown[:, n:]).transpose(3, 4)
        seen = product(weights[..., :width], own_shown)
        if self.stems.width:
            beside = weights[..., width:].transpose(2, 3).flatten(3, 4)
            found = product(beside, stem_shown.transpose(2, 3))
            seen = seen.add_(split(found, 3, n_leaves, -1).transpose(2, 3))
        return seen.flatten(3, 4).flatten(1, 2)

    def _keep(self, layer: int, key: Tensor, shown: Tensor) -> bool:
        """Keep keys of stems and what they show, if this pass computes them."""
        n = self._n_stem_tokens
        if n:
            self.kept[layer] = self.stems.pad(key[:, :n]), self.stems.pad(shown[:, :n])
        return n > 0

    def _to_own(self, asked: Tensor, key: Tensor) -> Tensor:
        """Score the tokens of leaves, shape (…, n_key_heads, groups, width).

        Keys of a stack are neither padded nor put into another order: they are many.
        """
        if len(key) == 1:
            return product(asked, self.leaves.pad(key).permute(0, 1, 2, 4, 5, 3))
        asking = asked.flatten(1, 2).index_select(1, self._leaf_of)
        scores = (key[:, :, :, None] * asking).sum(-1)
        return self.leaves.pad(scores).permute(0, 1, 2, 4, 5, 3)

    @cached_property
    def _leaf_of(self) -> Tensor:
        """Tell of every token that is no stem's in which leaf it is, (n_tokens,)."""
        lengths = self.leaves.lengths.flatten()
        return torch.arange(len(lengths), device=lengths.device).repeat_interleave(
            lengths
        )

    def _is_fused(self, query: Tensor, window: int | None) -> bool:
        """Say whether leaves see all of stems, and fused attention serves them."""
        longest = self.stems.width + self.leaves.width
        is_short = window is None or longest <= window
        return is_short and self.stems.shown is None and is_fused(query)

    def _from_leaves_fused(
        self, query: Tensor, key: Tensor, value: Tensor, layer: int
    ) -> Tensor | None:
        """Attend from leaves to stems and to themselves, no score written.

        None where some scores are −∞, which only numbers of 10¹⁹ make.
        """
        by_leaf = (t.flatten(1, 2) for t in (self.leaves.pad(query), key, value))
        own = attended(*by_leaf, causal=True)
        stem = attended(self._by_tree.pad(query), *self.kept[layer], causal=False)
        if is_doubtful(*own) or is_doubtful(*stem):
            return None
        in_line = [
            grid.unpad(t.flatten(1, 2))
            for grid, part in ((self.leaves, own), (self._by_tree, stem))
            for t in part
        ]
        return joined(*in_line).flatten(2)

    @cached_property
    def _by_tree(self) -> RaggedRows:
        """Lay out the leaves' tokens by tree: one tree's are not padded."""
        return RaggedRows.of(self.leaves.lengths.sum(dim=1))

    def _from_leaves(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        layer: int,
        window: int | None,
    ) -> Tensor:
        """Attend from leaves to stems and to themselves, all scores written."""
        groups = query.shape[2] // key.shape[4]
        asked = split(self.leaves.pad(query), 4, key.shape[4], groups)
        asked = asked.permute(0, 1, 4, 2, 5, 3, 6)
        # (n_stacks, n_trees, n_key_heads, n_leaves, groups, n_tokens, d_head)
        n_leaves, n_tokens = asked.shape[3], asked.shape[5]
        asked = asked.flatten(4, 5)
        keys, values = (
            t.permute(0, 1, 4, 2, 3, 5) for t in (key, value)
        )  # (n_stacks, n_trees, n_key_heads, n_leaves, n_tokens, d_head)
        of_stem, of_own = self._hidden(window, of_rows=False)
        own, width = product(asked, keys.transpose(-1, -2)), self.stems.width
        # A row of scores is a token's to its stem and to its leaf, in one piece.
        scores = own.new_empty(*own.shape[:-1], width + own.shape[-1])
        by_tree = scores.flatten(0, 2).flatten(1, 2)[..., :width]
        hidden = split(scores, 4, groups, n_tokens)
        stem_keys, stem_values = (t.transpose(2, 3) for t in self.kept[layer])
        torch.bmm(
            asked.expand(len(own), *asked.shape[1:]).flatten(3, 4).flatten(0, 2),
            stem_keys.expand(len(own), *stem_keys.shape[1:])
            .flatten(0, 2)
            .transpose(-1, -2),
            out=by_tree,
        )
        if of_stem is not None:
            hidden[..., :width].masked_fill_(of_stem, -torch.inf)
        scores[..., width:] = own
        hidden[..., width:].masked_fill_(of_own, -torch.inf)
        torch.softmax(scores, dim=-1, out=scores)
        seen = product(scores[..., width:], values)
        from_stem = product(scores[..., :width].flatten(3, 4), stem_values)
        seen.add_(split(from_stem, 3, n_leaves, -1))
        seen = split(seen, 4, groups, n_tokens).permute(0, 1, 3, 5, 2, 4, 6)
        return self.leaves.unpad(seen.flatten(4).flatten(1, 3))

    def _hidden(
        self, window: int | None, *, of_rows: bool
    ) -> tuple[Tensor | None, Tensor]:
        """Tell which keys a leaf's token does not see, of its stem's and of its own.

        Returns:
            Shape (n_trees or 1, 1, n_leaves or 1, 1, n_asking, n_keys); None for the
            stem where all see all of it.
        """
        if (window, of_rows) in self._masks:
            return self._masks[window, of_rows]
        device, begins = self.leaves.lengths.device, self.stems.lengths[:, None, None]
        if bool((begins == begins[0]).all()):
            begins = begins[:1]
        steps = torch.arange(self.leaves.width, device=device)
        own = begins + steps  # (n_trees or 1, 1, n_tokens)
        asking = begins + (self.leaves.lengths - 1)[..., None] if of_rows else own
        stem = torch.arange(self.stems.width, device=device).expand(*own.shape[:2], -1)
        stem = stem.masked_fill(stem >= begins, 1 << 40)  # padding is never seen
        of_stem, of_own = (
            _unseen(keys[..., None, :], asking[..., None], window)[:, None, :, None]
            for keys in (stem, own)
        )
        found = (of_stem if bool(of_stem.any()) else None), of_own
        self._masks[window, of_rows] = found
        return found


def _unseen(keys: Tensor, asking: Tensor, window: int | None) -> Tensor:
    """Tell which positions come later than a token, or too long before it."""
    hidden = keys > asking
    return hidden if window is None else hidden | (keys <= asking - window)
