"""Labels other than a row's own: redrawn, flipped, or with words that say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from probes.cards import CHANGES_OF_A_CLOSED_SET
from probes.data.labelled_rows import LabelledRows
from probes.data.template import Row
from probes.errors import DataError

Labels = Literal["gold", "shuffled", "flipped", "abstract"]
"""The labels of demonstrations.

- "gold": the rows' own.
- "shuffled": drawn from the labels of all train rows; on open tasks, their answers.
- "flipped": the next label in the place of every label, the first in that of the last.
- "abstract": other words for all labels, also in the queries' right answers.
"""

NEUTRAL_WORDS = ("foo", "bar", "zip", "dog", "cup", "map", "sun")
"""Words for abstract labels: short, and in English BPE vocabularies of different first
tokens. Labels that begin alike all the same are scored by their whole words."""


def changed(
    chosen: Sequence[Row], labels: Labels, rows: LabelledRows, rng: np.random.Generator
) -> list[str]:
    """Change the labels of a set's demonstrations.

    Args:
        chosen: The demonstrations.
        labels: Which labels; "abstract" keeps them, as only their words change.
        rows: The dataset.
        rng: Draws shuffled labels.
    """
    if labels == "shuffled":
        return [rows.train[rng.integers(len(rows.train))].label for _ in chosen]
    if labels == "flipped":
        return [flipped(rows.labels, row.label) for row in chosen]
    return [row.label for row in chosen]


def require_changeable(rows: LabelledRows, labels: Labels) -> None:
    """Refuse changes that only a closed set of labels allows.

    Raises:
        DataError: The answers are open, and would be flipped or renamed.
    """
    if rows.description.is_open and labels in CHANGES_OF_A_CLOSED_SET:
        raise DataError(
            f"{rows.name} has open answers, and its labels were to be {labels}. "
            f"Expected 'gold' or 'shuffled', because open answers have no closed set "
            f"in which to flip or rename them. Use a dataset with labels."
        )


def flipped(labels: Sequence[str], label: str) -> str:
    """Return the label after a label, in a circle; two labels swap."""
    return labels[(labels.index(label) + 1) % len(labels)]


def abstracted(rows: LabelledRows) -> LabelledRows:
    """Give labels words that say nothing about them.

    If there are more labels than neutral words, as in a language of symbols, each label
    gets the word of the label half the list away: a symbol too, but another label's.
    """
    n = len(rows.labels)
    words = [rows.description.word_for(label) for label in rows.labels]
    others = words[n // 2 :] + words[: n // 2]
    chosen = NEUTRAL_WORDS[:n] if n <= len(NEUTRAL_WORDS) else others
    verbalizer = dict(zip(rows.labels, chosen, strict=True))
    return replace(rows, description=replace(rows.description, verbalizer=verbalizer))
