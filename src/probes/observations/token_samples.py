"""Nested random samples of a vocabulary, the same for every learner.

Each token has a level. Sample ℓ holds the tokens of level ℓ or more: half as many as
the sample before it. Sample 0 is the vocabulary. The levels follow from a hash of the
token and of the answer's place in its cell. So two learners' answers to one query share
their samples, and answers to different queries have independent samples: the errors of
sums that are estimated from them average out over a cell.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST = 512
"""The smallest sample holds at least as many tokens on average, and at most twice."""

Ints = NDArray[Any]


def last_level(n_vocab: int) -> int:
    """Give the level of the smallest sample; no token has a higher one."""
    return max(n_vocab // SMALLEST, 1).bit_length() - 1


def levels(tokens: Ints, n_vocab: int, place: int) -> NDArray[np.uint8]:
    """Give the levels of tokens: ℓ or more with probability 2^−ℓ.

    Args:
        tokens: Token ids, shape (n,).
        n_vocab: Tokens in the vocabulary.
        place: A number of the answer, the same for every learner.
    """
    hashed = _mixed(np.uint32(place) ^ _mixed(tokens.astype(np.uint32)))
    level = np.zeros(len(tokens), dtype=np.uint8)
    for one in range(1, last_level(n_vocab) + 1):
        level += (hashed & np.uint32((1 << one) - 1)) == 0
    return level


@lru_cache(maxsize=1 << 13)
def smallest_sample(n_vocab: int, place: int) -> Ints:
    """List the tokens of the smallest sample, ascending."""
    hashed = levels(np.arange(n_vocab), n_vocab, place)
    return np.flatnonzero(hashed == last_level(n_vocab)).astype(np.int32)


def _mixed(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Hash 32-bit words one to one: the last step of MurmurHash3 (Appleby 2011)."""
    words = words ^ (words >> np.uint32(16))
    words = words * np.uint32(0x85EBCA6B)
    words = words ^ (words >> np.uint32(13))
    words = words * np.uint32(0xC2B2AE35)
    return words ^ (words >> np.uint32(16))
