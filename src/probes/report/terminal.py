"""Draw the matrix for a terminal: plain text that fits, whatever the names."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from probes.report.matrix import (
    ID_LIMIT,
    LETTERS,
    UNEXPECTED,
    Matrix,
    alarms,
    arrange,
    effect_text,
    headline,
    plain,
    quote,
    rerun_command,
    verdict_text,
)
from probes.results import Row, is_unexpected

MOST_UNEXPECTED = 20
GAP = 2


def matrix_lines(
    rows: Sequence[Row], run: Mapping[str, Any], *, width: int = 100
) -> list[str]:
    """Draw unexpected cells, the matrix, its legend and the headline.

    Args:
        rows: Corrected and ordered.
        run: What ``run.json`` holds.
        width: Columns of the terminal, at least 40.

    Returns:
        Lines of at most ``width`` columns, without colour codes. What forbids to trust
        the run stands first, and again in the headline, which stands last.
    """
    matrix = arrange(rows)
    lines = [line for alarm in alarms(rows, run) for line in fold(alarm, width)]
    if lines:
        lines.append("")
    lines += _unexpected_lines([row for row in rows if is_unexpected(row)], width)
    lines += _matrix_block(matrix, width)
    letters = ", ".join(f"{x} {name.replace('_', ' ')}" for name, x in LETTERS.items())
    lines += fold(f"{letters}; ! {UNEXPECTED}; blank: no such cell", width)
    return [*lines, "", *fold(headline(rows, run), width)]


def _unexpected_lines(rows: Sequence[Row], width: int) -> list[str]:
    if not rows:
        return []
    lines = [f"Unexpected: {len(rows)}"]
    for row in rows[:MOST_UNEXPECTED]:
        where = " · ".join(plain(row[key], 80) for key in ("claim", "model", "dataset"))
        where += f" · {row['n_demonstrations']} demonstrations"
        lines += fold(f"{where}: {verdict_text(row)}", width)
        if row["effects"]:
            lines += fold(effect_text(row["effects"][0]), width, indent="  ")
        if row["reason"]:
            lines += fold(plain(row["reason"]), width, indent="  ")
        lines += _command_lines(row, width)
    if len(rows) > MOST_UNEXPECTED:
        lines.append(f"and {len(rows) - MOST_UNEXPECTED} more")
    return [*lines, ""]


def _command_lines(row: Row, width: int) -> list[str]:
    """Write the rerun command; a long one in pieces that a shell joins again."""
    command = rerun_command(row)
    if columns(command) <= width:
        return [command]
    # Adjacent quoted words are one word to a shell, and quoting at most quintuples.
    test, room = plain(row["test"], ID_LIMIT), width - len('pytest ""\\')
    pieces = [quote(piece) for piece in _chunks(test, room)]
    if any(columns(piece) > room + 2 for piece in pieces):
        pieces = [quote(piece) for piece in _chunks(test, room // 5)]
    lines = [f"pytest {pieces[0]}", *pieces[1:]]
    return [line + "\\" for line in lines[:-1]] + lines[-1:]


def _matrix_block(matrix: Matrix, width: int) -> list[str]:
    """Draw claims × models, in as many blocks of columns as the width asks for."""
    if not matrix.claims:
        return []
    models = list(matrix.models)
    first = min(max(columns(plain(c)) for c in matrix.claims), max(16, width * 2 // 5))
    names = [plain(model) for model in models]
    widths = _column_widths(matrix, names)
    legend: list[str] = []
    if first + sum(GAP + w for w in widths) > width:
        legend = _model_legend(matrix, width)
        names = [f"M{i}" for i in range(1, len(models) + 1)]
        widths = _column_widths(matrix, names)
    lines = []
    for block in _blocks(widths, width - first):
        cells = [(pad("", first), *(pad(names[i], widths[i]) for i in block))]
        for claim in matrix.claims:
            entries = (pad(matrix.entry(claim, models[i]), widths[i]) for i in block)
            cells.append((pad(cut(plain(claim), first), first), *entries))
        lines += [(" " * GAP).join(line).rstrip() for line in cells] + [""]
    return [*lines, *legend]


def _column_widths(matrix: Matrix, names: Sequence[str]) -> list[int]:
    return [
        max(columns(name), *(len(matrix.entry(c, model)) for c in matrix.claims))
        for name, model in zip(names, matrix.models, strict=True)
    ]


def _blocks(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    """Split columns into runs that fit the room."""
    block: list[int] = []
    used = 0
    for i, w in enumerate(widths):
        if block and used + GAP + w > room:
            yield block
            block, used = [], 0
        block.append(i)
        used += GAP + w
    yield block


def _model_legend(matrix: Matrix, width: int) -> list[str]:
    numbered = enumerate(matrix.models.items(), start=1)
    lines = []
    for kind, group in groupby(numbered, key=lambda item: item[1][1]):
        named = ", ".join(f"M{i} {plain(name, 80)}" for i, (name, _) in group)
        lines += fold(f"{plain(kind, 40)}: {named}", width)
    return lines


def columns(text: str) -> int:
    """Count the terminal columns of a text; wide characters take two."""
    if text.isascii():
        return len(text)
    return sum(map(_column, text))


def _column(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int) -> str:
    """Shorten a text to a number of columns, with an ellipsis."""
    if columns(text) <= width:
        return text
    return next(_chunks(text, width - 1)) + "…"


def pad(text: str, width: int) -> str:
    """Fill a text with spaces to a number of columns."""
    return text + " " * (width - columns(text))


def _chunks(text: str, width: int) -> Iterator[str]:
    """Split a text anywhere into pieces of at most so many columns."""
    piece, used = "", 0
    for character in text:
        wide = _column(character)
        if used + wide > width:
            yield piece
            piece, used = "", 0
        piece, used = piece + character, used + wide
    yield piece


def fold(text: str, width: int, *, indent: str = "") -> list[str]:
    """Break a text between words into lines of at most so many columns."""
    room = width - len(indent)
    lines = [""]
    for word in text.split():
        for piece in _chunks(word, room):
            joined = f"{lines[-1]} {piece}" if lines[-1] else piece
            if columns(joined) <= room:
                lines[-1] = joined
            else:
                lines.append(piece)
    return [indent + line for line in lines]
