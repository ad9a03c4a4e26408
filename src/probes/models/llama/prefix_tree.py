"""Prompts that share a prefix, and which of them are computed in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby

from probes.data.tokenization import common_prefix

Prompt = Sequence[int]
MIN_SHARED = 8
"""Tokens. A shorter common prefix is computed with every prompt."""


@dataclass(frozen=True, kw_only=True)
class PrefixTree:
    """Prompts of one group: their common prefix, and how each goes on.

    Attributes:
        group: The number of the group.
        prefix: The common tokens; there may be none.
        suffixes: At least one token each, the shortest first.
        indices: Each suffix's prompt, by its index in the group.
        n_read: At how many of its last tokens each suffix is read.
    """

    group: int
    prefix: Prompt
    suffixes: list[Prompt]
    indices: list[int]
    n_read: list[int]

    @property
    def n_tokens(self) -> int:
        """Tokens that are computed."""
        return len(self.prefix) + sum(map(len, self.suffixes))

    def split(self, max_tokens: int) -> list[PrefixTree]:
        """Cut the suffixes into trees of about max_tokens, with the same prefix."""
        starts, size = [0], 0
        for i, suffix in enumerate(self.suffixes):
            size += len(suffix)
            if size > max_tokens and i > starts[-1]:
                starts.append(i)
                size = len(suffix)
        return self._parts(starts)

    def split_evenly(
        self, max_tokens: int, *, min_tokens: int, n_threads: int
    ) -> list[list[PrefixTree]]:
        """Cut the suffixes into passes for n_threads parallel threads.

        Args:
            max_tokens: About how many tokens a pass may have.
            min_tokens: About how many it must have; smaller passes are not made only
                to occupy a thread.
            n_threads: Passes at a time.

        Returns:
            Lists of passes that must follow one another. With a prefix there is a
            single list: the first pass has hardly more than the prefix, and the others
            can run in parallel after it. Without, each pass has a list of its own.
        """
        first = 1 if self.prefix else 0
        before = list(accumulate(map(len, self.suffixes[first:]), initial=0))
        n_tokens = before.pop()
        n_parts = min(
            n_threads * -(-n_tokens // (max_tokens * n_threads)),
            max(1, n_tokens // min_tokens),
        )
        part_of = [n_parts * tokens // n_tokens for tokens in before]
        changes = zip(part_of, [-1, *part_of], strict=False)
        starts = [first + i for i, (part, last) in enumerate(changes) if part != last]
        parts = self._parts(starts)
        return [[self._part(0, 1), *parts]] if self.prefix else [[p] for p in parts]

    def _parts(self, starts: list[int]) -> list[PrefixTree]:
        ends = [*starts[1:], len(self.suffixes)]
        return [self._part(a, b) for a, b in zip(starts, ends, strict=True)]

    def _part(self, start: int, stop: int) -> PrefixTree:
        part = slice(start, stop)
        return replace(
            self,
            suffixes=self.suffixes[part],
            indices=self.indices[part],
            n_read=self.n_read[part],
        )


def build_prefix_tree(
    group: int, prompts: Sequence[Prompt], n_read: Sequence[int] | None = None
) -> PrefixTree:
    """Split prompts into their common prefix and their suffixes.

    Args:
        group: The number of the group.
        prompts: Token ids.
        n_read: At how many of its last tokens each prompt is read; None: the last one.
    """
    n_read = n_read or [1] * len(prompts)
    shared = shared_prefix_length(prompts, max(n_read))
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    return PrefixTree(
        group=group,
        prefix=prompts[0][:shared],
        suffixes=[prompts[i][shared:] for i in order],
        indices=order,
        n_read=[n_read[i] for i in order],
    )


def shared_prefix_length(prompts: Sequence[Prompt], n_read: int = 1) -> int:
    """Count the tokens that are worth computing once for all prompts.

    Args:
        prompts: Token ids.
        n_read: How many tokens at the end of every prompt are not shared.
    """
    if len(prompts) < 2:
        return 0
    shared = min(common_prefix(prompts), min(map(len, prompts)) - n_read)
    return shared if shared >= MIN_SHARED else 0


def batch_trees(
    trees: Sequence[PrefixTree], *, max_tokens: int
) -> Iterator[list[PrefixTree]]:
    """Batch trees that are computed in one pass of about max_tokens.

    A tree that is too large is alone, and is then cut (see :meth:`PrefixTree.split`).
    """
    for _, alike in groupby(trees, key=lambda tree: len(tree.suffixes)):
        batch: list[PrefixTree] = []
        for tree in alike:
            n_tokens = sum(t.n_tokens for t in batch) + tree.n_tokens
            if batch and n_tokens > max_tokens:
                yield batch
                batch = []
            batch.append(tree)
        yield batch
