"""Prompts that share a beginning, and which of them are computed in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby

from probes.data.tokenization import common_prefix

Prompt = Sequence[int]
LEAST_SHARED = 8
"""Tokens: a shorter common beginning is computed with every prompt."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Prompts of one group: the tokens that all begin with, and what follows.

    Attributes:
        group: Which group they are.
        stem: Common tokens; may be none.
        leaves: At least one token each, the shortest first.
        places: Where in the group each leaf's prompt stands.
    """

    group: int
    stem: Prompt
    leaves: list[Prompt]
    places: list[int]

    @property
    def n_tokens(self) -> int:
        """Tokens that are computed."""
        return len(self.stem) + sum(map(len, self.leaves))

    def cut(self, most: int) -> list[Tree]:
        """Cut the leaves into parts of about so many tokens, each with the stem."""
        begins, size = [0], 0
        for place, leaf in enumerate(self.leaves):
            size += len(leaf)
            if size > most and place > begins[-1]:
                begins.append(place)
                size = len(leaf)
        return self._parts(begins)

    def evenly(self, most: int, *, least: int, n: int) -> list[list[Tree]]:
        """Cut the leaves into passes that n threads take side by side.

        Args:
            most: Tokens of a pass, about.
            least: Likewise; a pass of fewer is not made to occupy a thread.
            n: How many at a time.

        Returns:
            Passes that must follow one another: with a stem, first one of hardly
            more than it, and then the others at once; without, each by itself.
        """
        first = 1 if self.stem else 0
        before = list(accumulate(map(len, self.leaves[first:]), initial=0))
        n_tokens = before.pop()
        n_parts = min(n * -(-n_tokens // (most * n)), max(1, n_tokens // least))
        which = [n_parts * tokens // n_tokens for tokens in before]
        changes = zip(which, [-1, *which], strict=False)
        begins = [first + i for i, (part, last) in enumerate(changes) if part != last]
        parts = self._parts(begins)
        return [[self._part(0, 1), *parts]] if self.stem else [[p] for p in parts]

    def _parts(self, begins: list[int]) -> list[Tree]:
        ends = [*begins[1:], len(self.leaves)]
        return [self._part(a, b) for a, b in zip(begins, ends, strict=True)]

    def _part(self, start: int, stop: int) -> Tree:
        leaves, places = self.leaves[start:stop], self.places[start:stop]
        return replace(self, leaves=leaves, places=places)


def tree_of(group: int, prompts: Sequence[Prompt]) -> Tree:
    """Split a group into its common beginning and what follows, the shortest first."""
    shared = shared_beginning(prompts)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    return Tree(
        group=group,
        stem=prompts[0][:shared],
        leaves=[prompts[i][shared:] for i in order],
        places=order,
    )


def shared_beginning(prompts: Sequence[Prompt]) -> int:
    """Count the tokens that are worth computing once for all prompts."""
    if len(prompts) < 2:
        return 0
    shared = min(common_prefix(prompts), min(map(len, prompts)) - 1)
    return shared if shared >= LEAST_SHARED else 0


def passes(trees: Sequence[Tree], *, most: int) -> Iterator[list[Tree]]:
    """Gather trees that are computed in one pass, of about so many tokens at most.

    A tree that is too large stands alone, and is then cut (see :meth:`Tree.cut`).
    """
    for _, alike in groupby(trees, key=lambda tree: len(tree.leaves)):
        batch: list[Tree] = []
        for tree in alike:
            if batch and sum(t.n_tokens for t in batch) + tree.n_tokens > most:
                yield batch
                batch = []
            batch.append(tree)
        yield batch
