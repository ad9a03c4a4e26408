"""Read files from strangers within bounds: bytes, nesting and number of values.

Whatever exceeds a bound raises :class:`UnreadableError`. The caller adds which file it
was, what was expected, and how to fix it.
"""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST_NESTED = 40
"""Levels of a JSON value. A row has 6, a model's configuration 5."""
MOST_VALUES = 1_000_000
"""Numbers, texts and containers in one JSON value. A limit on bytes is not enough: an
empty list has two bytes in the file and takes 64 in memory."""
SHOWN = 60
"""Characters of a text that a message quotes."""


class UnreadableError(ValueError):
    """A file or a value exceeds a bound; the message says which."""


def read_bytes(path: Path, *, limit: int) -> bytes:
    """Read a regular file whole.

    Raises:
        UnreadableError: It is not a regular file, or it has more than ``limit`` bytes.
            No more than that are read, whatever size the file claims.
        OSError: It cannot be read.
    """
    require_small(path, limit=limit)
    with path.open("rb") as handle:
        data = handle.read(limit + 1)
    if len(data) > limit:
        raise UnreadableError(f"it holds more than {limit} bytes")
    return data


def read_text(path: Path, *, limit: int) -> str:
    """Read a regular file of UTF-8 text whole.

    Raises:
        UnreadableError: As :func:`read_bytes`.
        UnicodeDecodeError: It is not UTF-8.
        OSError: It cannot be read.
    """
    return read_bytes(path, limit=limit).decode("utf-8")


def lines_of(path: Path, *, limit: int, longest: int) -> Iterator[str]:
    """Yield the lines of a regular file of UTF-8 text, without line feeds.

    Only a line feed ends a line, because texts may contain other separators.

    Raises:
        UnreadableError: As :func:`read_bytes`, or a line has more than ``longest``
            characters.
        UnicodeDecodeError: It is not UTF-8.
        OSError: It cannot be read.
    """
    require_small(path, limit=limit)
    with path.open(encoding="utf-8", newline="\n") as handle:
        number = 0
        while line := handle.readline(longest + 1):
            number += 1
            if len(line) > longest:
                raise UnreadableError(
                    f"line {number} is longer than {longest} characters"
                )
            yield line.removesuffix("\n")


def require_small(path: Path, *, limit: int) -> None:
    """Check that a path is a regular file within a limit.

    Reading a pipe may wait forever, and a device may never end.

    Raises:
        UnreadableError: It is not a regular file, or it is larger than the limit.
        OSError: It does not exist.
    """
    n_bytes = os.stat(path).st_size
    if not path.is_file():
        raise UnreadableError("it is no regular file")
    if n_bytes > limit:
        raise UnreadableError(f"it holds {n_bytes} bytes, more than {limit}")


def parse_json(text: str, *, most_values: int = MOST_VALUES) -> Any:
    """Parse strict JSON, without NaN and infinity.

    Raises:
        UnreadableError: It is nested too deeply, or it has too many values.
        ValueError: It is not JSON.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise UnreadableError("it is nested too deeply") from error
    require_shallow(value, most_values=most_values)
    return value


def require_shallow(value: Any, *, most_values: int = MOST_VALUES) -> None:
    """Check that a JSON value is neither too deeply nested nor too large.

    Raises:
        UnreadableError: It has more than ``MOST_NESTED`` levels, or more than
            ``most_values`` values.
    """
    level, n_values = [value], 0
    for _ in range(MOST_NESTED):
        n_values += len(level)
        if n_values > most_values:
            raise UnreadableError(f"it holds more than {most_values} values")
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise UnreadableError(f"it is nested more than {MOST_NESTED} levels deep")


def brief(value: object) -> str:
    """Write a value of unknown size and depth in a few characters."""
    shown = reprlib.Repr()
    shown.maxlevel, shown.maxstring, shown.maxother = 2, SHOWN, SHOWN
    return shown.repr(value)


def require_inside(path: Path, folder: Path) -> None:
    """Check that a path in a folder does not lead out of it, after following links.

    In the Hub's cache, the files of a snapshot are links to the model's ``blobs``
    folder. These are allowed.

    Raises:
        UnreadableError: The path leads out of the folder.
        ValueError: The path has a null byte.
        OSError: A link cannot be followed.
    """
    home = folder.resolve()
    if home.parent.name == "snapshots":
        home = home.parent.parent
    target = path.resolve()
    if not target.is_relative_to(home):
        raise UnreadableError(f"{path.name!r} leads out of its folder, to {target}")


def require_name(name: object) -> str:
    """Check that a value is a plain file name, and return it.

    Raises:
        UnreadableError: It is not a text, or it is a path, or no file can have it.
    """
    if (
        not isinstance(name, str)
        or name in ("", ".", "..")
        or set(name) & set("/\\\0")
        or not name.isprintable()
    ):
        raise UnreadableError(f"{brief(name)} is no plain file name")
    return name


def _refuse(constant: str) -> float:
    raise UnreadableError(f"{constant} is no number of JSON")
