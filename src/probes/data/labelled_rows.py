"""A dataset of labelled text rows in memory, checked and counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from probes.bounded_io import brief
from probes.data.template import Description, Row
from probes.errors import DataError

ROWS_PER_TYPO = 100
"""A label that occurs once is taken for a typing error if at most one row in this many
has such a label. More of them are a long tail of rare labels."""
FREQUENT = 10
"""If every other label occurs this often, the labels have no long tail."""
OPEN = "open answers"
"""Stands for all labels in the counts of a dataset whose answers are open."""


@dataclass(frozen=True, kw_only=True)
class LabelledRows:
    """A dataset in memory: train rows demonstrate, test rows are queries.

    ``labels`` is empty if the answers are open. ``n_left_out`` counts rows that were
    left out because another row asks the same (see :meth:`without_repeats`).
    """

    name: str
    train: tuple[Row, ...]
    test: tuple[Row, ...]
    description: Description
    fingerprint: str
    labels: tuple[str, ...] = field(default=())
    n_left_out: int = 0

    def label_counts(self) -> dict[str, dict[str, int]]:
        """Count the rows of each label in each split, the most frequent first.

        Open answers hardly recur; they are counted together.
        """
        splits = {"train": self.train, "test": self.test}
        if self.description.is_open:
            return {split: {OPEN: len(rows)} for split, rows in splits.items()}
        return {
            split: dict(Counter(row.label for row in rows).most_common())
            for split, rows in splits.items()
        }

    def n_repeated(self) -> int:
        """Count the test rows that ask what a train row of their group asks."""
        known = set(map(self._asked, self.train))
        return sum(self._asked(row) in known for row in self.test)

    def without_repeats(self) -> LabelledRows:
        """Leave out every row that asks what an earlier row of its group asks.

        Rows are the same if their queries read the same in a prompt, whatever their
        labels and other columns are. So no query stands among its demonstrations, and
        demonstration sets share none. Test rows may repeat one another.

        Raises:
            DataError: No test row is left.
        """
        first = {self._asked(row): row for row in reversed(self.train)}
        train = tuple(row for row in self.train if first[self._asked(row)] is row)
        test = tuple(row for row in self.test if self._asked(row) not in first)
        if not test:
            raise DataError(
                f"Each of the {len(self.test)} test rows of {self.name} asks what a "
                f"train row asks. Expected queries that were not demonstrated. Add "
                f"other test rows, or a column to the template that tells them apart."
            )
        n_rows = len(self.train) + len(self.test)
        n_left_out = n_rows - len(train) - len(test)
        return replace(self, train=train, test=test, n_left_out=n_left_out)

    def _asked(self, row: Row) -> tuple[str, str]:
        return row.group, self.description.ask(row)


def assemble(
    name: str,
    rows: dict[str, tuple[Row, ...]],
    description: Description,
    fingerprint: str,
) -> LabelledRows:
    """Check every row of both splits and list the labels.

    Raises:
        DataError: A split is empty, a row leaves a gap in the template, or the labels
            are ambiguous or look like typing errors.
    """
    for split, of_split in rows.items():
        if not of_split:
            raise DataError(
                f"The {split} split of {name} has no rows. Expected at least one. "
                f"Check the file, or the folder that --data-dir names."
            )
    every_row = [row for split in rows.values() for row in split]
    for row in every_row:
        description.require_filled(row)
    first: dict[str, str] = {}
    if not description.is_open:
        first = {row.label: row.where for row in reversed(every_row)}
    _require_words(name, first, description)
    if first and description.verbalizer is None:
        _require_no_typos(name, Counter(row.label for row in every_row), first)
    return LabelledRows(
        name=name,
        train=rows["train"],
        test=rows["test"],
        description=description,
        fingerprint=fingerprint,
        labels=tuple(sorted(first)),
    )


def _require_words(name: str, first: dict[str, str], description: Description) -> None:
    """Refuse two labels with the same word, or that differ only in capitals."""
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


def _require_no_typos(name: str, counts: Counter[str], first: dict[str, str]) -> None:
    """Refuse a label that occurs once in hundreds of rows whose labels all recur."""
    single = [label for label, n in counts.items() if n == 1]
    others = [label for label in counts if label not in single]
    if not single or len(single) * ROWS_PER_TYPO > counts.total():
        return
    if all(counts[label] >= FREQUENT for label in others):
        raise DataError(
            f"The label {brief(single[0])} ({first[single[0]]}) occurs once in the "
            f"{counts.total()} rows of {name}; other labels are "
            f"{brief(sorted(others)[:5])}. Expected labels that recur. Mend the row, "
            f"or name every label under [verbalizer] if it is intended."
        )
