"""Files of labelled rows: JSON Lines and CSV, read line by line.

Every error names the file and the line.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probes.bounded_io import (
    UnreadableError,
    brief,
    parse_json,
    require_inside,
    require_small,
)
from probes.data.right_answers import listed_answers, require_answers
from probes.data.template import Description, Row
from probes.errors import DataError

SUFFIXES = (".jsonl", ".csv")
LONGEST_LINE = 1_000_000
MOST_ROWS = 1_000_000
LARGEST = 256_000_000
"""Bytes of a file of rows. As text, with up to four bytes a letter, this is 1 GB."""
MOST_COLUMNS = 1000


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
                f"{place} has no {split} split. Expected {split}.jsonl or {split}.csv. "
                f"Add it, or name a single file, which is halved."
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


def require_readable(path: Path) -> None:
    """Refuse a file that cannot hold rows, before reading any of it.

    Raises:
        DataError: It is not a regular file, or it is too large.
    """
    try:
        require_small(path, limit=LARGEST)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read: {error}. Expected a file of rows that fit into "
            f"memory. Check the path, or split the file."
        ) from error


def read_labelled(path: Path, description: Description) -> Iterator[Row]:
    """Read the rows of a file.

    Raises:
        DataError: The file or one of its rows is malformed.
    """
    require_readable(path)
    for number, record in _records(path):
        yield labelled_row(record, description, f"{path.name} line {number}")


def labelled_row(record: Any, description: Description, where: str) -> Row:
    """Split a record into text fields, label or answers, and group.

    Raises:
        DataError: The record is not an object, has no label, or has a value that is not
            text or a number.
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
        if column != label_column
    }
    return Row(
        fields=texts,
        label=label,
        also_right=tuple(also_right),
        group=texts.get(description.group_column, ""),
        where=where,
    )


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


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield (line number, record); refuse lines and files that cannot be rows."""
    with path.open(encoding="utf-8-sig", newline="") as handle:
        lines = _bounded(handle, path)
        try:
            yield from (_table(lines) if path.suffix == ".csv" else _json(lines))
        except _LineError as error:
            raise DataError(
                f"{path.name} line {error.number} cannot be read: {error}. Expected "
                f"one JSON object a line (.jsonl), or a header and one row a line "
                f"(.csv). Mend or remove the line."
            ) from error
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path.name} line {_undecodable_line(path)} is not UTF-8: "
                f"{error.reason}. Expected UTF-8 text. Save the file as UTF-8."
            ) from error


class _LineError(Exception):
    """A line that is not a row; the message says why."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(why)
        self.number = number


def _json(lines: Iterator[str]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = parse_json(line)
        except UnreadableError as error:
            raise _LineError(number, str(error)) from error
        except json.JSONDecodeError as error:
            raise _LineError(number, f"{error.msg} at column {error.colno}") from error
        except ValueError as error:  # a number too long
            raise _LineError(number, str(error)) from error
        yield number, record


def _table(lines: Iterator[str]) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(lines, strict=True)
    _require_columns(reader)
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # The row began after the last line of the one before.
            raise _LineError(reader.line_num + 1, str(error)) from error
        yield reader.line_num, record


def _require_columns(reader: csv.DictReader[str]) -> None:
    """Refuse a header with too many columns, or two columns of one name."""
    try:
        n_columns = len(reader.fieldnames or ())
    except csv.Error as error:
        raise _LineError(1, str(error)) from error
    if n_columns > MOST_COLUMNS:
        raise _LineError(1, f"it has {n_columns} columns, more than {MOST_COLUMNS}")
    for name, n in Counter(reader.fieldnames or ()).items():
        if n > 1:
            raise _LineError(1, f"{n} columns are named {brief(name)}")


def _undecodable_line(path: Path) -> int:
    content = path.read_bytes()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1
    return 0  # the file has changed in the meantime


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
