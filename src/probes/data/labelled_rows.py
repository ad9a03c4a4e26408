"""A dataset of labelled text rows in memory: found, read, checked and counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from probes.bounded_io import brief
from probes.data.template import Description, Row
from probes.errors import DataError

ROWS_A_SLIP = 100
"""At most one row in so many is taken for a slip; more are a long tail of labels."""
COMMON = 10
"""Labels that all recur so often have no long tail that a single one could end."""


@dataclass(frozen=True, kw_only=True)
class LabelledRows:
    """A dataset in memory: train rows demonstrate, test rows are queries."""

    name: str
    train: tuple[Row, ...]
    test: tuple[Row, ...]
    description: Description
    fingerprint: str
    labels: tuple[str, ...] = field(default=())

    def label_counts(self) -> dict[str, dict[str, int]]:
        """Count the rows of each label in each split, the most frequent first."""
        splits = {"train": self.train, "test": self.test}
        return {
            split: dict(Counter(row.label for row in rows).most_common())
            for split, rows in splits.items()
        }

    def n_repeated(self) -> int:
        """Count the test rows whose text stands among the train rows too."""
        known = {tuple(sorted(row.fields.items())) for row in self.train}
        return sum(tuple(sorted(row.fields.items())) in known for row in self.test)


def assemble(
    name: str,
    rows: dict[str, tuple[Row, ...]],
    description: Description,
    fingerprint: str,
) -> LabelledRows:
    """Check every row of both splits and list the labels.

    Raises:
        DataError: A split is empty, a row leaves a gap in the template, or the labels
            cannot be told apart or look like slips.
    """
    for split, found in rows.items():
        if not found:
            raise DataError(
                f"The {split} split of {name} has no rows. Expected at least one. "
                f"Check the file, or the folder that --data-dir names."
            )
    every_row = [row for split in rows.values() for row in split]
    for row in every_row:
        description.require_filled(row)
    first = {row.label: row.where for row in reversed(every_row)}
    _require_words(name, first, description)
    if description.verbalizer is None:
        _require_no_slips(name, Counter(row.label for row in every_row), first)
    return LabelledRows(
        name=name,
        train=rows["train"],
        test=rows["test"],
        description=description,
        fingerprint=fingerprint,
        labels=tuple(sorted(first)),
    )


def _require_words(name: str, first: dict[str, str], description: Description) -> None:
    """Refuse two labels with one word, or that only differ in their capitals."""
    words: dict[str, str] = {}
    for label, where in first.items():
        word = description.word_for(label, where)
        if description.verbalizer is None:
            word = word.casefold()
        other = words.setdefault(word, label)
        if other != label:
            raise DataError(
                f"The labels {brief(other)} ({first[other]}) and {brief(label)} "
                f"({where}) of {name} share the word {brief(word)}. Expected a word of "
                f"its own for each label. Mend the rows, or give each a word under "
                f"[verbalizer]."
            )


def _require_no_slips(name: str, counts: Counter[str], first: dict[str, str]) -> None:
    """Refuse a label that occurs once in hundreds of rows whose labels all recur."""
    single = [label for label, n in counts.items() if n == 1]
    common = [label for label in counts if label not in single]
    if not single or len(single) * ROWS_A_SLIP > counts.total():
        return
    if all(counts[label] >= COMMON for label in common):
        raise DataError(
            f"The label {brief(single[0])} ({first[single[0]]}) occurs once in the "
            f"{counts.total()} rows of {name}, beside {brief(sorted(common)[:5])}. "
            f"Expected labels that recur. Mend the row, or name every label under "
            f"[verbalizer] if it is meant."
        )
