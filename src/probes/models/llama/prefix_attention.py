"""Attention of prompts that share prefixes: every prefix is computed once.

Attention to a prefix is one product for all its suffixes, so no prompt has a copy of
the prefix's keys and values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from probes.models.llama.axes import product, split
from probes.models.llama.fused_attention import (
    attend_with_mass,
    may_have_overflowed,
    merge_attention,
    supports_fused,
)
from probes.models.llama.prefix_layout import PrefixLayout
from probes.models.llama.prefix_tree import PrefixTree
from probes.models.llama.ragged import causal_attention


@dataclass(frozen=True, kw_only=True)
class PrefixAttention:
    """Attends within prefix trees (an ``AttentionLayout``), without gradients.

    Attributes:
        layout: Where the tokens stand.
        cache: Each layer's keys and values of the prefixes. The last layer may have its
            input in place of values. An earlier pass may have filled it.
    """

    layout: PrefixLayout
    cache: dict[int, tuple[Tensor, Tensor]]

    @classmethod
    def of(
        cls,
        trees: Sequence[PrefixTree],
        device: torch.device,
        *,
        after: PrefixAttention | None = None,
    ) -> PrefixAttention:
        """Lay out trees (see ``PrefixLayout.of``), and share the cache of a pass."""
        layout = PrefixLayout.of(trees, device, after=after.layout if after else None)
        return cls(layout=layout, cache=after.cache if after else {})

    @property
    def positions(self) -> Tensor:
        """Each token's position in its prompt, shape (1, n_tokens)."""
        return self.layout.positions

    @property
    def rows(self) -> Tensor:
        """The tokens that are read, suffix by suffix, shape (1, n_rows)."""
        return self.layout.rows

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        layer: int,
        window: int | None,
    ) -> Tensor:
        """Attend within prefixes, and from suffixes to their prefix and themselves."""
        n, parts = self.layout.n_prefix_tokens, []
        prefixes, suffixes = self.layout.prefixes, self.layout.suffixes
        if self._fill_cache(layer, key, value):
            of_prefixes = query[:, :n], *self.cache[layer]
            parts.append(causal_attention(prefixes, *of_prefixes, window))
        asking = query[:, n:]
        own = suffixes.pad(key[:, n:]), suffixes.pad(value[:, n:])
        if not prefixes.width:
            parts.append(causal_attention(suffixes, asking, *own, window))
        else:
            seen = None
            if self._can_fuse(asking, value, window):
                seen = self._from_suffixes_fused(asking, *own, layer)
            if seen is None:
                seen = self._from_suffixes(asking, *own, layer, window)
            parts.append(seen)
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]

    def attend_from_rows(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        layer: int,
        window: int | None,
    ) -> Tensor:
        """Attend from the tokens that are read to their prefix and their suffix."""
        if not self.layout.reads_last:
            return self._attend_from_many(query, key, value, layer, window)
        n, suffixes = self.layout.n_prefix_tokens, self.layout.suffixes
        n_trees, n_suffixes = suffixes.lengths.shape
        self._fill_cache(layer, key, value)
        asking = split(split(query, 2, key.shape[2], -1), 1, n_trees, n_suffixes)
        # (n_stacks or 1, n_trees, n_suffixes, n_key_heads, groups, d_head)
        scores = self._scores_of_rows(asking, key[:, n:], layer, window)
        weights = torch.softmax(torch.cat(scores, dim=-1), dim=-1).flatten(3, 4)
        weights = split(weights, 3, value.shape[2], -1)  # by value head, then by query
        width = suffixes.width
        own_values = suffixes.pad(value[:, n:]).transpose(3, 4)
        seen = product(weights[..., :width], own_values)
        if self.layout.prefixes.width:
            _, prefix_values = self.cache[layer]
            together = weights[..., width:].transpose(2, 3).flatten(3, 4)
            of_prefix = product(together, prefix_values.transpose(2, 3))
            seen = seen.add_(split(of_prefix, 3, n_suffixes, -1).transpose(2, 3))
        return seen.flatten(3, 4).flatten(1, 2)

    def _attend_from_many(
        self, query: Tensor, key: Tensor, value: Tensor, layer: int, window: int | None
    ) -> Tensor:
        """Attend from several tokens of a suffix: from all, of which these are kept."""
        rows, n_heads = self.layout.rows[0], query.shape[2]
        asking = query.new_zeros(len(query), key.shape[1], *query.shape[2:])
        asking[:, rows] = query
        value = value.expand(*value.shape[:2], key.shape[2], -1)
        seen = self.attend(asking, key, value, layer=layer, window=window)
        return split(seen[:, rows], 2, n_heads, -1)

    def _scores_of_rows(
        self, asking: Tensor, own_keys: Tensor, layer: int, window: int | None
    ) -> list[Tensor]:
        """Score each suffix's own keys, and those of its prefix if there are any."""
        of_prefix, of_own = self.layout.masks(window, of_rows=True)
        own_scores = self._scores_of_own(asking, own_keys)
        scores = [own_scores.masked_fill_(of_own[:, 0], -torch.inf)]
        if self.layout.prefixes.width:
            prefix_keys, _ = self.cache[layer]
            together = asking.transpose(2, 3).flatten(3, 4)  # all that ask of a prefix
            prefix_scores = product(together, prefix_keys.permute(0, 1, 3, 4, 2))
            prefix_scores = split(prefix_scores, 3, asking.shape[2], -1).transpose(2, 3)
            if of_prefix is not None:
                prefix_scores = prefix_scores.masked_fill(of_prefix[:, 0], -torch.inf)
            scores.append(prefix_scores)
        return scores

    def _fill_cache(self, layer: int, key: Tensor, value: Tensor) -> bool:
        """Cache keys and values of prefixes, if this pass computes them."""
        n, prefixes = self.layout.n_prefix_tokens, self.layout.prefixes
        if n:
            self.cache[layer] = prefixes.pad(key[:, :n]), prefixes.pad(value[:, :n])
        return n > 0

    def _scores_of_own(self, asking: Tensor, key: Tensor) -> Tensor:
        """Score each suffix's own keys, shape (…, n_key_heads, groups, width).

        A stack's keys are neither padded nor reordered, because they are many.
        """
        suffixes = self.layout.suffixes
        if len(key) == 1:
            return product(asking, suffixes.pad(key).permute(0, 1, 2, 4, 5, 3))
        by_token = asking.flatten(1, 2).index_select(1, self.layout.suffix_of_token)
        scores = (key[:, :, :, None] * by_token).sum(-1)
        return suffixes.pad(scores).permute(0, 1, 2, 4, 5, 3)

    def _can_fuse(self, query: Tensor, value: Tensor, window: int | None) -> bool:
        """Check that suffixes see whole prefixes, and that fused attention can run."""
        if value.shape[-1] != query.shape[-1]:  # W_V is applied after attention
            return False
        prefixes = self.layout.prefixes
        longest = prefixes.width + self.layout.suffixes.width
        is_short = window is None or longest <= window
        return is_short and prefixes.source is None and supports_fused(query)

    def _from_suffixes_fused(
        self, query: Tensor, key: Tensor, value: Tensor, layer: int
    ) -> Tensor | None:
        """Attend from suffixes to prefixes and themselves without writing scores.

        Returns None if scores may be −∞, which takes numbers of about 10¹⁹.
        """
        suffixes, by_tree = self.layout.suffixes, self.layout.suffixes_by_tree
        by_suffix = (t.flatten(1, 2) for t in (suffixes.pad(query), key, value))
        own = attend_with_mass(*by_suffix, causal=True)
        prefix = attend_with_mass(by_tree.pad(query), *self.cache[layer], causal=False)
        if may_have_overflowed(*own) or may_have_overflowed(*prefix):
            return None
        in_line = [
            grid.unpad(t.flatten(1, 2))
            for grid, part in ((suffixes, own), (by_tree, prefix))
            for t in part
        ]
        return merge_attention(*in_line).flatten(2)

    def _from_suffixes(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        layer: int,
        window: int | None,
    ) -> Tensor:
        """Attend from suffixes to prefixes and themselves, writing all scores."""
        groups, suffixes = query.shape[2] // key.shape[4], self.layout.suffixes
        asking = split(suffixes.pad(query), 4, key.shape[4], groups)
        asking = asking.permute(0, 1, 4, 2, 5, 3, 6)
        # (n_stacks, n_trees, n_key_heads, n_suffixes, groups, n_tokens, d_head)
        n_suffixes, n_tokens = asking.shape[3], asking.shape[5]
        asking = asking.flatten(4, 5)
        keys, values = (
            t.permute(0, 1, 4, 2, 3, 5) for t in (key, value)
        )  # (n_stacks, n_trees, n_key_heads, n_suffixes, n_tokens, d_head)
        prefix_keys, prefix_values = (t.transpose(2, 3) for t in self.cache[layer])
        scores = self._suffix_scores(asking, keys, prefix_keys, groups, window)
        torch.softmax(scores, dim=-1, out=scores)
        width = self.layout.prefixes.width
        seen = product(scores[..., width:], values)
        of_prefix = product(scores[..., :width].flatten(3, 4), prefix_values)
        seen.add_(split(of_prefix, 3, n_suffixes, -1))
        seen = split(seen, 4, groups, n_tokens).permute(0, 1, 3, 5, 2, 4, 6)
        return suffixes.unpad(seen.flatten(4).flatten(1, 3))

    def _suffix_scores(
        self,
        asking: Tensor,
        keys: Tensor,
        prefix_keys: Tensor,
        groups: int,
        window: int | None,
    ) -> Tensor:
        """Score prefixes and suffixes in one tensor: each row is a token's scores.

        Args:
            asking: Shape (n_stacks or 1, n_trees, n_key_heads, n_suffixes, groups ·
                n_tokens, d_head).
            keys: Shape (n_stacks or 1, n_trees, n_key_heads, n_suffixes, n_tokens,
                d_head).
            prefix_keys: Shape (n_stacks or 1, n_trees, n_key_heads, width, d_head).
            groups: Query heads for each key head.
            window: How many tokens back a token attends.
        """
        of_prefix, of_own = self.layout.masks(window, of_rows=False)
        own, width = product(asking, keys.transpose(-1, -2)), prefix_keys.shape[3]
        scores = own.new_empty(*own.shape[:-1], width + own.shape[-1])
        by_tree = scores.flatten(0, 2).flatten(1, 2)[..., :width]
        masked = split(scores, 4, groups, -1)
        torch.bmm(
            asking.expand(len(own), *asking.shape[1:]).flatten(3, 4).flatten(0, 2),
            prefix_keys.expand(len(own), *prefix_keys.shape[1:])
            .flatten(0, 2)
            .transpose(-1, -2),
            out=by_tree,
        )
        if of_prefix is not None:
            masked[..., :width].masked_fill_(of_prefix, -torch.inf)
        scores[..., width:] = own
        masked[..., width:].masked_fill_(of_own, -torch.inf)
        return scores
