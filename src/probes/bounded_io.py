"""Files from anywhere, read within bounds: no more bytes, nesting or values than fit.

What is refused here is an :class:`UnreadableError`; the caller says in its own three
parts which file it was and how to mend it.
"""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST_NESTED = 40
"""Levels of a JSON value: a row has 6, a model's configuration 5."""
MOST_VALUES = 1_000_000
"""Numbers, texts and containers of one JSON value; an empty list of two bytes takes 64
in memory, so that bytes alone bound too little."""
SHOWN = 60
"""Letters of a text that a message quotes."""


class UnreadableError(ValueError):
    """A file or text is outside the bounds; the message says of what."""


def read_bytes(path: Path, *, limit: int) -> bytes:
    """Read a regular file whole.

    Raises:
        UnreadableError: It is no regular file, or holds more than ``limit`` bytes,
            of which no more are read, whatever the file says of its size.
        OSError: It cannot be read.
    """
    require_small(path, limit=limit)
    with path.open("rb") as handle:
        found = handle.read(limit + 1)
    if len(found) > limit:
        raise UnreadableError(f"it holds more than {limit} bytes")
    return found


def read_text(path: Path, *, limit: int) -> str:
    """Read a regular file of UTF-8.

    Raises:
        UnreadableError: As :func:`read_bytes`.
        UnicodeDecodeError: It is not UTF-8.
        OSError: It cannot be read.
    """
    return read_bytes(path, limit=limit).decode("utf-8")


def lines_of(path: Path, *, limit: int, longest: int) -> Iterator[str]:
    """Yield the lines of a regular file of UTF-8, without their ends.

    Only a line feed ends a line: texts may hold other separators.

    Raises:
        UnreadableError: As :func:`read_bytes`, or a line exceeds ``longest`` letters.
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
    """Refuse what is no regular file, or is larger than a limit.

    Raises:
        UnreadableError: It is one of these: a pipe is waited for, a device never ends.
        OSError: Nothing is there.
    """
    held = os.stat(path).st_size
    if not path.is_file():
        raise UnreadableError("it is no regular file")
    if held > limit:
        raise UnreadableError(f"it holds {held} bytes, more than {limit}")


def parse_json(text: str, *, most_values: int = MOST_VALUES) -> Any:
    """Read JSON as it is specified: no NaN, no infinity, and not nested without end.

    Raises:
        UnreadableError: It is nested too deeply, or holds too many values.
        ValueError: It is no JSON.
    """
    try:
        found = json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise UnreadableError("it is nested too deeply") from error
    require_shallow(found, most_values=most_values)
    return found


def require_shallow(value: Any, *, most_values: int = MOST_VALUES) -> None:
    """Refuse a value that is nested too deeply to be walked, or is too large.

    Raises:
        UnreadableError: More than ``MOST_NESTED`` levels, or more than ``most_values``.
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
    """Show a value of unknown size and depth in a few letters."""
    shown = reprlib.Repr()
    shown.maxlevel, shown.maxstring, shown.maxother = 2, SHOWN, SHOWN
    return shown.repr(value)


def require_inside(path: Path, folder: Path) -> None:
    """Refuse a name or link in a folder that leads out of it.

    The files of a snapshot in the Hub's cache are links to blobs beside the snapshots
    of the same model; these lead nowhere else.

    Raises:
        UnreadableError: The path, links followed, lies elsewhere, or has no meaning.
        OSError: It cannot be followed.
    """
    home = folder.resolve()
    if home.parent.name == "snapshots":
        home = home.parent.parent
    found = path.resolve()  # raises ValueError for a null byte
    if not found.is_relative_to(home):
        raise UnreadableError(f"{path.name!r} leads out of its folder, to {found}")


def require_name(name: object) -> str:
    """Return a name that is a plain file's in a folder.

    Raises:
        UnreadableError: It is no text, a path, or a name that no file can have.
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
