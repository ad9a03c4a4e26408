"""Prompts that share a beginning, and which of them are computed in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from probes.tokens import common_prefix

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
        ends = [*begins[1:], len(self.leaves)]
        return [
            replace(self, leaves=self.leaves[a:b], places=self.places[a:b])
            for a, b in zip(begins, ends, strict=True)
        ]


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
