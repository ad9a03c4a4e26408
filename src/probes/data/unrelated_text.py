"""The words of a demonstration: the row's own, or words unrelated to its label.

Changed labels are in ``changed_labels``, substituted words in ``word_ciphers``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from probes.data.template import Row

Wording = Literal["own", "unrelated", "one_to_one", "not_one_to_one"]
"""The words of inputs.

- "own": the rows' own.
- "unrelated": in demonstrations, words unrelated to the label.
- "one_to_one": others for some words, by a substitution of each set's own for its
  demonstrations and queries (see ``word_ciphers``).
- "not_one_to_one": the same queries, but every occurrence of such a word in a
  demonstration becomes another word.
"""
Words = Mapping[str, Sequence[str]]

WORD = re.compile(r"\S+")


def words_of(rows: Iterable[Row]) -> Words:
    """List the words in every column of rows, each as often as it occurs."""
    words: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for column, text in row.fields.items():
            words[column] += WORD.findall(text)
    return words


def with_unrelated_words(
    rows: Sequence[Row], words: Words, seed: int
) -> tuple[Row, ...]:
    """Replace every word of the rows' inputs by one drawn from the words of all rows.

    A row keeps its label and its number of words, and words keep their frequency in the
    data; but no word says anything about the label. In a language without spaces
    between words a text is one word, so the row gets the text of another row.

    Elsewhere, training on unrelated text means another corpus and the loss on its next
    tokens. Here the template, the labels, the number of words and the loss stay the
    same, so that the two trainings differ in the inputs only; and any tokenizer knows
    the words.

    Args:
        rows: Demonstrations.
        words: The words of each column to draw from, see :func:`words_of`.
        seed: Seed of the draws.
    """
    rng = np.random.default_rng(seed)

    def other(text: str, known: Sequence[str]) -> str:
        return WORD.sub(lambda _: known[int(rng.integers(len(known)))], text)

    return tuple(
        replace(row, fields={c: other(row.fields[c], words[c]) for c in row.fields})
        for row in rows
    )
