"""Records of a file: JSON Lines, JSON, CSV or TSV, each with its place in the file.

``row_files`` makes rows of them. Every error names the file and the line.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probes.bounded_io import UnreadableError, brief, parse_json, require_small
from probes.errors import DataError

SUFFIXES = (".jsonl", ".csv", ".tsv", ".json")
KINDS = ".jsonl, .csv, .tsv or .json"
SEPARATORS = {".csv": ",", ".tsv": "\t"}
LONGEST_LINE = 1_000_000
MOST_ROWS = 1_000_000
LARGEST = 256_000_000
"""Bytes of a file of rows. As text, with up to four bytes a letter, this is 1 GB."""
LARGEST_JSON = 32_000_000
"""Bytes of a .json file, which is parsed whole and then takes up to 1 GB."""
MOST_COLUMNS = 1000


def require_readable(path: Path) -> None:
    """Refuse a file that cannot hold rows, before reading any of it.

    Raises:
        DataError: It is not a regular file, or it is too large.
    """
    is_whole = path.suffix == ".json"
    try:
        require_small(path, limit=LARGEST_JSON if is_whole else LARGEST)
    except (OSError, ValueError) as error:
        fix = "save the rows as .jsonl" if is_whole else "split the file"
        raise DataError(
            f"{path} cannot be read: {error}. Expected a file of rows that fit into "
            f"memory. Check the path, or {fix}."
        ) from error


def read_records(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the records of a file, each with its place, such as "line 3".

    Raises:
        DataError: The file or one of its lines cannot hold rows.
    """
    require_readable(path)
    with path.open(encoding="utf-8-sig", newline="") as handle:
        try:
            if path.suffix == ".json":
                yield from _whole(handle.read(), path)
            else:
                lines = _bounded(handle, path)
                separator = SEPARATORS.get(path.suffix)
                rows = _table(lines, separator) if separator else _json(lines)
                yield from ((f"line {number}", record) for number, record in rows)
        except _LineError as error:
            raise DataError(
                f"{path.name} line {error.number} cannot be read: {error}. Expected "
                f"{_form(path)}. Mend or remove the line."
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


def _form(path: Path) -> str:
    """Say in words what a file of this kind holds."""
    if path.suffix == ".json":
        return "one list of JSON objects"
    if path.suffix == ".jsonl":
        return "one JSON object a line"
    between = "tabs" if path.suffix == ".tsv" else "commas"
    return (
        f"a header and one row a line, with {between} between the columns; put "
        f"a text that has quotation marks in quotation marks, and double its own"
    )


def _whole(text: str, path: Path) -> Iterator[tuple[str, Any]]:
    """Read a list of records from a whole JSON file."""
    try:
        records = parse_json(text, most_values=LARGEST_JSON)
    except json.JSONDecodeError as error:
        raise _LineError(
            error.lineno, f"{error.msg} at column {error.colno}"
        ) from error
    except ValueError as error:  # nested too deeply, or a number too long
        raise DataError(
            f"{path.name} cannot be read: {error}. Expected {_form(path)}. Mend the "
            f"file."
        ) from error
    if not isinstance(records, list):
        raise DataError(
            f"{path.name} holds {brief(records)}. Expected {_form(path)}. Mend the "
            f"file, or save one object a line as .jsonl."
        )
    for number, record in enumerate(records, start=1):
        yield f"row {number}", record


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


def _table(lines: Iterator[str], separator: str) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(lines, strict=True, delimiter=separator)
    _require_columns(reader)
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # The row began after the last line of the one before.
            raise _LineError(reader.line_num + 1, str(error)) from error
        if None in record.values():
            short = [name for name, value in record.items() if value is None]
            raise _LineError(reader.line_num, f"it has no value for {brief(short[0])}")
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
