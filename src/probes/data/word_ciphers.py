"""Substitution ciphers: some words of a prompt become others, one-to-one or anew.

After Fang et al. 2025, arXiv:2504.19395 (ICL ciphers). A network that only recognises
the task has as little use for the one as for the other. One that learns from the
demonstrations what the new words stand for does better after a one-to-one substitution.

Departures: words are substituted, not tokens. Demonstrations are not chosen to share
words with the query, because all queries of a set share them. The queries read the same
under both substitutions, so that the two differ in the demonstrations alone; a query
whose words are drawn anew says as much as one whose words are enciphered, if the
demonstrations do not hold the key.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from probes.data.template import Row
from probes.data.unrelated_text import Wording
from probes.hashing import seed_of

WORD = re.compile(r"\w+(?:['’]\w+)*")
SHARE = 0.5
"""The share of words that are substituted. With more, little of the task is left to
recognise; with fewer, few queries hold a substituted word."""
BLOCK = 10
"""A word becomes one of its block: words that are about as frequent."""

CIPHERS: tuple[Wording, ...] = ("one_to_one", "not_one_to_one")

Rows = tuple[Row, ...]


def words_by_frequency(rows: Iterable[Row]) -> list[str]:
    """List the words of all columns, the most frequent first."""
    texts = (text for row in rows for text in row.fields.values())
    counts = Counter(word for text in texts for word in WORD.findall(text))
    return sorted(counts, key=lambda word: (-counts[word], word))


@dataclass(frozen=True, kw_only=True)
class WordCipher:
    """A substitution of half the words, each by one that is about as frequent.

    Attributes:
        key: Word to word: a permutation of the words that are substituted.
        block: Word to the words of its block, itself among them.
    """

    key: Mapping[str, str]
    block: Mapping[str, Sequence[str]]

    @classmethod
    def draw(cls, words: Sequence[str], rng: np.random.Generator) -> WordCipher:
        """Draw which words are substituted, and by which.

        Args:
            words: All words, the most frequent first.
            rng: Draws both.
        """
        n_chosen = round(SHARE * len(words))
        chosen = np.sort(rng.permutation(len(words))[:n_chosen])
        key: dict[str, str] = {}
        block: dict[str, Sequence[str]] = {}
        for start in range(0, n_chosen, BLOCK):
            own = [words[index] for index in chosen[start : start + BLOCK]]
            order = rng.permutation(len(own))
            key |= {word: own[index] for word, index in zip(own, order, strict=True)}
            block |= dict.fromkeys(own, own)
        return cls(key=key, block=block)

    def one_to_one(self, row: Row) -> Row:
        """Replace every word that is substituted by the one that the key names."""
        return _with_words(row, lambda word: self.key.get(word, word))

    def drawn_anew(self, row: Row, rng: np.random.Generator) -> Row:
        """Replace every occurrence of such a word by one drawn from its block.

        Every word is as likely to become every other of its block as by the key.
        """

        def anew(word: str) -> str:
            others = self.block.get(word)
            return others[int(rng.integers(len(others)))] if others else word

        return _with_words(row, anew)


def enciphered_sets(
    sets: Sequence[Rows],
    asked: Sequence[Rows],
    rows: Iterable[Row],
    *,
    seed: int,
    wording: Wording,
) -> tuple[list[Rows], list[Rows]]:
    """Substitute words in demonstrations and queries, by a cipher for each set.

    Args:
        sets: The demonstrations of each set.
        asked: The queries of each set, which are enciphered one-to-one.
        rows: All rows of the dataset; their words are known.
        seed: Seed of the ciphers; both substitutions of a seed have the same.
        wording: One of ``CIPHERS``: whether demonstrations follow the key too.

    Returns:
        The demonstrations and the queries of each set.
    """
    words = words_by_frequency(rows)
    shown: list[Rows] = []
    queries: list[Rows] = []
    for index, (demonstrations, of_set) in enumerate(zip(sets, asked, strict=True)):
        rng = np.random.default_rng(seed_of(seed, index))
        cipher = WordCipher.draw(words, rng)
        queries.append(tuple(map(cipher.one_to_one, of_set)))
        if wording == "one_to_one":
            shown.append(tuple(map(cipher.one_to_one, demonstrations)))
        else:
            shown.append(tuple(cipher.drawn_anew(row, rng) for row in demonstrations))
    return shown, queries


def _with_words(row: Row, substitute: Callable[[str], str]) -> Row:
    fields = {
        column: WORD.sub(lambda found: substitute(found.group()), text)
        for column, text in row.fields.items()
    }
    return replace(row, fields=fields)
