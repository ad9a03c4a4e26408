"""Labelled rows: which files hold them, and what a record must have to be one.

``record_files`` reads the files. Every error names the file and the line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probes.bounded_io import brief, require_inside
from probes.data.record_files import KINDS, MOST_COLUMNS, SUFFIXES, read_records
from probes.data.right_answers import listed_answers, require_answers
from probes.data.template import Description, Row
from probes.errors import DataError


def split_files(place: Path) -> tuple[Path, Path]:
    """Find the files of train and test rows; a single file is returned twice.

    Raises:
        DataError: The folder lacks a split.
    """
    if place.is_file():
        return place, place
    found: dict[str, Path] = {}
    for split in ("train", "test"):
        paths = [
            place / f"{split}{s}" for s in SUFFIXES if (place / f"{split}{s}").exists()
        ]
        if not paths:
            raise DataError(
                f"{place} has no {split} split. Expected a file {split} that ends "
                f"in {KINDS}. Add it, or name a single file, which is halved."
            )
        try:
            require_inside(paths[0], place)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{paths[0]} cannot be read: {error}. Expected a file in the folder "
                f"itself. Copy it there, or name the folder that holds it."
            ) from error
        found[split] = paths[0]
    return found["train"], found["test"]


def read_labelled(path: Path, description: Description) -> Iterator[Row]:
    """Read the rows of a file.

    Raises:
        DataError: The file or one of its rows is malformed.
    """
    for place, record in read_records(path):
        yield labelled_row(record, description, f"{path.name} {place}")


def labelled_row(record: Any, description: Description, where: str) -> Row:
    """Split a record into text fields, label or answers, and group.

    Raises:
        DataError: The record is not an object, has no label, or has a value that is not
            text or a number in a column that is used.
    """
    label_column = description.label_column
    if not isinstance(record, dict):
        raise DataError(
            f"{where} is {brief(record)}. Expected an object with text columns "
            f"and a label. Mend or remove the row."
        )
    if len(record) > MOST_COLUMNS:
        raise DataError(
            f"{where} has {len(record)} columns. Expected at most {MOST_COLUMNS}. "
            f"Leave out those that the template does not name."
        )
    if label_column not in record:
        raise DataError(
            f"{where} has no {label_column!r}; its columns are "
            f"{brief(list(record))}. Expected text columns and a label. Add the label "
            f"to this row, or, if no row has it, name the label's column under "
            f"[columns] in the TOML."
        )
    given = listed_answers(record[label_column], description)
    answers = [_text(label_column, value, where) for value in given]
    label, *also_right = require_answers(answers, description, where)
    texts = {
        column: _text(column, value, where)
        for column, value in record.items()
        if column != label_column and _is_kept(column, value, description)
    }
    return Row(
        fields=texts,
        label=label,
        also_right=tuple(also_right),
        group=texts.get(description.group_column, ""),
        where=where,
    )


def _is_kept(column: str | None, value: Any, description: Description) -> bool:
    """Say whether a value belongs to the row: what nobody uses may be anything."""
    is_text = isinstance(value, str | int | float) and not isinstance(value, bool)
    return is_text or column is None or column in description.columns


def _text(column: str | None, value: Any, where: str) -> str:
    if column is None:  # csv collects values beyond the header under None
        raise DataError(
            f"{where} has {len(value)} more values than the header has columns. "
            f"Expected one value a column. Quote values that hold commas."
        )
    if value is None:
        raise DataError(
            f"{where} has no value for {brief(column)}. Expected text or a number. "
            f"Fill it in or remove the row."
        )
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(
            f"{where} has {brief(column)} = {brief(value)}. Expected text or a number. "
            f"Mend or remove the row."
        )
    return str(value)
