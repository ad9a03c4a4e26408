"""A dataset of labelled text rows in memory: found, read, checked and counted."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from probes.description import Description, Row, describe
from probes.errors import DataError
from probes.reading import brief
from probes.row_files import SUFFIXES, read_labelled, split_files
from probes.tasks import DatasetCard, TextRows, digest, seed_of

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


def read_rows(card: DatasetCard, data_dir: str | None) -> LabelledRows:
    """Read a text dataset, once for each process.

    Args:
        card: A card whose rows are :class:`TextRows`.
        data_dir: Where relative locations are looked up.

    Raises:
        DataError: Nothing is there, or a row is not what it should be.
    """
    assert isinstance(card.rows, TextRows)
    return _read(card.name, card.rows, data_dir)


@lru_cache(maxsize=64)
def _read(name: str, source: TextRows, data_dir: str | None) -> LabelledRows:
    place = locate(name, source, data_dir)
    if place is None:
        from probes.hub import read_from_hub

        return read_from_hub(name, source)
    description, described = describe(place, source.description)
    train, test = split_files(place)
    rows = {
        split: tuple(read_labelled(path, description))
        for split, path in (("train", train), ("test", test))
    }
    if train == test:
        rows = _halved(rows["train"])
    parts = [
        described.encode(),
        *(p.read_bytes() for p in dict.fromkeys((train, test))),
    ]
    content = [hashlib.sha256(part).hexdigest() for part in parts]
    return assemble(name, rows, description, digest(content))


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


def locate(name: str, source: TextRows, data_dir: str | None) -> Path | None:
    """Find the folder or file of a dataset; None means: read it from the Hub.

    Raises:
        DataError: There is nothing, and no Hub id to turn to.
    """
    direct = Path(source.location)
    if direct.is_absolute():
        candidates = [direct]
    else:
        candidates = [Path(data_dir) / source.location] if data_dir else []
    for candidate in candidates:
        named = (Path(f"{candidate}{suffix}") for suffix in SUFFIXES)
        for path in (candidate, *named):
            if path.exists():
                return path
    if source.hub and data_dir is None:
        return None
    looked = ", ".join(str(c) for c in candidates) or "nowhere, as no folder is given"
    mend = "Pass --data-dir FOLDER, the folder that holds it."
    if direct.is_absolute():
        mend = "Check the path."
    elif source.hub:
        mend = "Check --data-dir, or leave it away to read the Hub (the extra 'hub')."
    raise DataError(
        f"The dataset {name!r} was not found (looked in: {looked}). Expected a folder "
        f"with train and test files, or one .jsonl or .csv file. {mend}"
    )


def _halved(rows: tuple[Row, ...]) -> dict[str, tuple[Row, ...]]:
    ranked = sorted(
        rows, key=lambda row: seed_of("halve", sorted(row.fields.items()), row.label)
    )
    middle = len(ranked) // 2
    return {"train": tuple(ranked[:middle]), "test": tuple(ranked[middle:])}
