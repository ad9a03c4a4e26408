"""The words of a demonstration: the row's own, or ones that say nothing of its label.

What a label is stands in ``prompts``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from probes.data.template import Row

Wording = Literal["own", "unrelated"]
Words = Mapping[str, Sequence[str]]

WORD = re.compile(r"\S+")


def words_of(rows: Iterable[Row]) -> Words:
    """List the words in every column of rows, each as often as it occurs."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for column, text in row.fields.items():
            found[column] += WORD.findall(text)
    return found


def reworded(rows: Sequence[Row], words: Words, seed: int) -> tuple[Row, ...]:
    """Exchange every word of the rows' inputs for one drawn from the words of all rows.

    What is left is a row's label, its number of words, and how frequent words are in
    the data; which word stands where says nothing of the label. A language that puts no
    spaces between words has one word a text, and the row gets another row's text.

    Training on it is what training on unrelated text is elsewhere: there on another
    corpus, by the loss on its next tokens. Here template, labels, number of words and
    loss stay as they are, so that the two trainings differ in nothing but the inputs;
    and any tokenizer knows the words.

    Args:
        rows: Demonstrations.
        words: Those of each column to draw from, see :func:`words_of`.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)

    def other(text: str, known: Sequence[str]) -> str:
        return WORD.sub(lambda _: known[int(rng.integers(len(known)))], text)

    return tuple(
        replace(row, fields={c: other(row.fields[c], words[c]) for c in row.fields})
        for row in rows
    )
