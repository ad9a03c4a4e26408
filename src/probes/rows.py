"""Labelled text rows: reading them, and the description that turns them into prompts.

Reads JSON Lines and CSV, a single file or a folder with train and test files. What can
go wrong names the file and the line. Tokens are not known here: see ``prompts``.
"""

from __future__ import annotations

import csv
import hashlib
import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from probes.errors import DataError
from probes.tasks import DatasetCard, TextRows, digest, seed_of

SUFFIXES = (".jsonl", ".csv")
SECTIONS = ("template", "columns", "verbalizer")
LONGEST_LINE = 1_000_000
MOST_ROWS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Row:
    """One labelled example.

    Attributes:
        fields: Column to text, without the label.
        label: The label, as the file spells it.
        group: Rows of one group belong together: a demonstration set and its queries
            come from one group. Empty where the data has none.
        where: File and line, for messages.
    """

    fields: dict[str, str]
    label: str
    group: str = ""
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class Description:
    """How rows become prompts. Data, not code: see any ``dataset.toml``.

    Attributes:
        query: Text up to the answer, with ``{column}`` in braces.
        answer: Text of the answer, with ``{label}`` for the verbalized label.
        separator: Between two demonstrations, and before the query.
        instruction: Once, before everything.
        label_column: Column of the label.
        group_column: Column of the group.
        verbalizer: Label to the word that stands for it; None: the label as it is.
    """

    query: str = "Input: {text}\nLabel:"
    answer: str = " {label}"
    separator: str = "\n\n"
    instruction: str = ""
    label_column: str = "label"
    group_column: str = "group"
    verbalizer: dict[str, str] | None = None

    def word_for(self, label: str, where: str = "") -> str:
        """Verbalize a label.

        Raises:
            DataError: The verbalizer has no word for it.
        """
        if self.verbalizer is None:
            return label
        if label not in self.verbalizer:
            raise DataError(
                f"The label {label!r}{f' in {where}' if where else ''} has no "
                f"verbalizer. Expected one of {sorted(self.verbalizer)}. Add it under "
                f"[verbalizer] in the dataset's TOML, or mend the row."
            )
        return self.verbalizer[label]

    def ask(self, row: Row) -> str:
        """Fill the query template with a row.

        Raises:
            DataError: The template names a column that the row lacks.
        """
        try:
            return self.query.format_map(row.fields)
        except (LookupError, ValueError, AttributeError, TypeError) as error:
            raise DataError(
                f"The template {self.query!r} cannot be filled from {row.where}, whose "
                f"columns are {sorted(row.fields)}. Expected every name in braces to "
                f"be a column. Mend the template or the row ({type(error).__name__})."
            ) from error

    def demonstrate(self, row: Row, label: str | None = None) -> str:
        """Fill the template with a row and its label, or another label."""
        word = self.word_for(row.label if label is None else label, row.where)
        return self.ask(row) + self.answer.replace("{label}", word)


@dataclass(frozen=True, kw_only=True)
class LabelledRows:
    """A dataset in memory: train rows demonstrate, test rows are queries."""

    name: str
    train: tuple[Row, ...]
    test: tuple[Row, ...]
    description: Description
    fingerprint: str
    labels: tuple[str, ...] = field(default=())


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
    train, test = _splits(place)
    rows = {
        split: tuple(_labelled(path, description))
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
    """Check both splits and list the labels.

    Raises:
        DataError: A split is empty, a label has no word, or two labels share one.
    """
    for split, found in rows.items():
        if not found:
            raise DataError(
                f"The {split} split of {name} has no rows. Expected at least one. "
                f"Check the file, or the folder that --data-dir names."
            )
    labels = tuple(sorted({row.label for split in rows.values() for row in split}))
    words: dict[str, str] = {}
    for found in rows.values():
        for row in found:
            words.setdefault(description.word_for(row.label, row.where), row.label)
    if len(words) < len(labels):
        raise DataError(
            f"The labels {list(labels)} of {name} share the words {sorted(words)}. "
            f"Expected a word of its own for each label. Mend [verbalizer]."
        )
    return LabelledRows(
        name=name,
        train=rows["train"],
        test=rows["test"],
        description=description,
        fingerprint=fingerprint,
        labels=labels,
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
    raise DataError(
        f"The dataset {name!r} was not found (looked in: {looked}). Expected a folder "
        f"with train and test files, or one .jsonl or .csv file. Pass --data-dir "
        f"FOLDER, or install the extra 'hub' and leave --data-dir away."
    )


def describe(place: Path, description: str | None) -> tuple[Description, str]:
    """Read the TOML beside the rows; return the description and its text.

    Raises:
        DataError: The TOML is broken or names a key that nobody reads.
    """
    beside = place / "dataset.toml" if place.is_dir() else place.with_suffix(".toml")
    path = Path(description) if description else beside
    if not path.exists():
        if description:
            raise DataError(
                f"The description {path} is not there. Expected a TOML file with the "
                f"template and the verbalizer. Check the path."
            )
        return Description(), ""
    try:
        text = path.read_text("utf-8")
        table = tomllib.loads(text)
    except ValueError as error:  # no TOML, or no UTF-8
        raise DataError(
            f"{path} is not valid TOML: {error}. Expected [template], [columns] and "
            f"[verbalizer]. Mend that line."
        ) from error
    return _description(table, path), text


def _description(table: dict[str, Any], path: Path) -> Description:
    for section, values in table.items():
        if section not in SECTIONS or not isinstance(values, dict):
            raise DataError(
                f"{path} has {section} = {str(values)[:60]!r}. Expected the tables "
                f"{', '.join(f'[{s}]' for s in SECTIONS)}. Rename or remove it."
            )
    template, columns = table.get("template", {}), table.get("columns", {})
    known = {
        "template": {"query", "answer", "separator", "instruction"},
        "columns": {"label", "group"},
    }
    for section, values in (("template", template), ("columns", columns)):
        for key, value in values.items():
            if key not in known[section] or not isinstance(value, str):
                raise DataError(
                    f"{path} has [{section}] {key} = {value!r}. Expected text under "
                    f"one of {sorted(known[section])}. Rename or remove it."
                )
    verbalizer = table.get("verbalizer")
    for label, word in (verbalizer or {}).items():
        if not isinstance(word, str):
            raise DataError(
                f"{path} has [verbalizer] {label} = {word!r}. Expected a word in "
                f"quotes. Quote it."
            )
    return Description(
        **template,
        **{f"{key}_column": value for key, value in columns.items()},
        verbalizer=None
        if verbalizer is None
        else {str(k): str(v) for k, v in verbalizer.items()},
    )


def _splits(place: Path) -> tuple[Path, Path]:
    if place.is_file():
        return place, place
    found: dict[str, Path] = {}
    for split in ("train", "test"):
        paths = [
            place / f"{split}{s}" for s in SUFFIXES if (place / f"{split}{s}").exists()
        ]
        if not paths:
            raise DataError(
                f"{place} has no {split} split. Expected {split}.jsonl or {split}.csv. "
                f"Add it, or name a single file, which is halved."
            )
        found[split] = paths[0]
    return found["train"], found["test"]


def _halved(rows: tuple[Row, ...]) -> dict[str, tuple[Row, ...]]:
    ranked = sorted(
        rows, key=lambda row: seed_of("halve", sorted(row.fields.items()), row.label)
    )
    middle = len(ranked) // 2
    return {"train": tuple(ranked[:middle]), "test": tuple(ranked[middle:])}


def _labelled(path: Path, description: Description) -> Iterator[Row]:
    for number, record in _records(path):
        yield labelled_row(record, description, f"{path.name} line {number}")


def labelled_row(record: Any, description: Description, where: str) -> Row:
    """Split a record into text fields, label and group.

    Raises:
        DataError: It is no object, has no label, or holds something that is no text.
    """
    if not isinstance(record, dict) or description.label_column not in record:
        raise DataError(
            f"{where} has no {description.label_column!r}. Expected an object with "
            f"text columns and a label. Name the label's column under [columns] in the "
            f"TOML."
        )
    texts: dict[str, str] = {}
    for column, value in record.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise DataError(
                f"{where} has {column} = {str(value)[:60]!r}. Expected text or a "
                f"number. Mend or remove the row."
            )
        texts[column] = str(value)
    label = texts.pop(description.label_column)
    return Row(
        fields=texts,
        label=label,
        group=texts.get(description.group_column, ""),
        where=where,
    )


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield (line number, record), refusing lines and files that cannot be rows."""
    with path.open(encoding="utf-8-sig", newline="") as handle:
        try:
            if path.suffix == ".csv":
                reader = csv.DictReader(_bounded(handle, path), strict=True)
                for record in reader:
                    yield reader.line_num, record
                return
            for number, line in enumerate(_bounded(handle, path), start=1):
                if line.strip():
                    yield number, json.loads(line)
        except DataError:
            raise
        except (ValueError, RecursionError, csv.Error) as error:
            raise DataError(
                f"{path.name} cannot be read: {error}. Expected one UTF-8 JSON object "
                f"a line (.jsonl), or a header and one row a line (.csv). Mend the "
                f"file."
            ) from error


def _bounded(handle: Any, path: Path) -> Iterator[str]:
    for number in range(1, MOST_ROWS + 1):
        line = handle.readline(LONGEST_LINE + 1)
        if not line:
            return
        if len(line) > LONGEST_LINE:
            raise DataError(
                f"{path.name} line {number} is longer than {LONGEST_LINE} characters. "
                f"Expected one row a line. Mend the file."
            )
        yield line
    raise DataError(
        f"{path.name} has more than {MOST_ROWS} lines. Expected rows that fit into "
        f"memory. Split the file."
    )
