"""Write the command that judges one cell again."""

from __future__ import annotations

import os.path
import shlex
from collections.abc import Mapping
from pathlib import PurePath

from probes.report.matrix import ID_LIMIT, plain
from probes.results.rows import Row


def quote(text: str) -> str:
    """Quote a word for a shell, with plain quotes if nothing in it is special."""
    if text == shlex.quote(text):
        return text
    return shlex.quote(text) if set(text) & set('"$`\\!') else f'"{text}"'


def rerun_words(row: Row) -> list[str]:
    """List the words of the command that judges one cell again, unquoted.

    The command runs where the run was started. It carries the run's options, of which
    ``--models``, ``--datasets`` and ``--demos`` keep only what the cell needs.
    """
    made = row["provenance"]
    # Rows of earlier versions have neither options nor a root.
    options: Mapping[str, str] = made.get("options", {})
    test = str(row["test"])
    if root := made.get("tests_root"):
        test = os.path.normpath(os.path.join(str(root), test))
    words = [test]
    for name, value in options.items():
        words += [name, _needed(row, name, value)] if value else [name]
    return ["pytest", *(plain(word, ID_LIMIT) for word in words)]


def rerun_command(row: Row) -> str:
    """Write the command that judges one cell again."""
    return " ".join(map(quote, rerun_words(row)))


def _needed(row: Row, option: str, value: str) -> str:
    """Keep what a cell needs of a list; all of it if that is not clear."""
    if option == "--demos":
        return str(row["n_demonstrations"])
    if option not in ("--models", "--datasets"):
        return value
    wanted = row["model" if option == "--models" else "dataset"]
    items = [item.strip() for item in value.split(",")]
    found = [item for item in items if wanted in _names_of(item)]
    return found[0] if len(found) == 1 else value


def _names_of(item: str) -> set[str]:
    """List the names that an entry of a list may give a model or a dataset."""
    alias, equals, _ = item.partition("=")
    path = PurePath(item)
    return {alias} if equals else {item, path.name, path.stem}
