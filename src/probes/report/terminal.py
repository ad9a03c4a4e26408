"""Draw the matrix for a terminal, as plain text that fits its width."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from probes.report.appendix import (
    count_reasons,
    dataset_lines,
    record_lines,
    speed_lines,
)
from probes.report.matrix import (
    IDENTITY,
    IDENTITY_MEANS,
    LETTERS,
    UNEXPECTED,
    Matrix,
    alarms,
    arrange,
    plain,
    quote,
    rerun_words,
    summary_line,
    verdict_text,
)
from probes.report.number_text import effect_text
from probes.results.rows import Row, is_unexpected

MOST_UNEXPECTED = 20
MOST_REASONS = 6
GAP = 2


def matrix_lines(
    rows: Sequence[Row], run: Mapping[str, Any], *, width: int = 100
) -> list[str]:
    """Draw unexpected cells, the matrix, its legend and the headline.

    Args:
        rows: Corrected and ordered rows.
        run: The content of ``run.json``.
        width: Columns of the terminal, at least 40.

    Returns:
        Lines of at most ``width`` columns, without colour codes. Reasons not to trust
        the run come first, and again in the headline, which comes last.
    """
    matrix = arrange(rows)
    lines = [line for alarm in alarms(rows, run) for line in fold(alarm, width)]
    if lines:
        lines.append("")
    lines += _unexpected_lines([row for row in rows if is_unexpected(row)], width)
    lines += _matrix_block(matrix, width)
    letters = ", ".join(f"{x} {name.replace('_', ' ')}" for name, x in LETTERS.items())
    identity = f"; {IDENTITY} {IDENTITY_MEANS}" if matrix.has_identities else ""
    legend = f"{letters}; R1 I2: counts of cells; ! {UNEXPECTED}{identity}"
    lines += fold(f"{legend}; blank: no such cell", width)
    lines += ["", *_reason_lines(rows, width)]
    appendix = [*dataset_lines(run), *record_lines(rows, run), *speed_lines(run)]
    lines += [line for text in appendix for line in fold(text, width)]
    lines += [""] if appendix else []
    return [*lines, *fold(summary_line(rows, run), width)]


def _reason_lines(rows: Sequence[Row], width: int) -> list[str]:
    """Say why cells are undecided, with the most frequent reasons first."""
    counts = count_reasons(rows).most_common()
    lines = [
        cut(f"{letter} {n} × {reason}", width)
        for (letter, reason), n in counts[:MOST_REASONS]
    ]
    if len(counts) > MOST_REASONS:
        lines.append(f"and {len(counts) - MOST_REASONS} other reasons")
    return [*lines, ""] if lines else []


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
    """Write the command that judges a cell again, in pieces that a shell joins."""
    pieces: list[str] = []
    room = width - len('pytest ""\\')
    for word in rerun_words(row):
        quoted = _quoted(word, room)
        pieces += [f" {quoted[0]}" if pieces else quoted[0], *quoted[1:]]
    lines = [""]
    for piece in pieces:
        if lines[-1] and columns(lines[-1] + piece) > width - 1:
            lines[-1] += "\\"
            lines.append("")
        lines[-1] += piece
    return lines


def _quoted(word: str, room: int) -> list[str]:
    """Quote a word; a long one in adjacent pieces, which a shell reads as one word."""
    pieces = [quote(piece) for piece in _chunks(word, room)]
    if any(columns(piece) > room + 2 for piece in pieces):
        # Quoting at most quintuples.
        pieces = [quote(piece) for piece in _chunks(word, room // 5)]
    return pieces


def _matrix_block(matrix: Matrix, width: int) -> list[str]:
    """Draw claims × models, in as many blocks of columns as the width requires."""
    if not matrix.claims:
        return []
    models = list(matrix.models)
    first = min(
        max(map(columns, map(matrix.label, matrix.claims))), max(16, width * 2 // 5)
    )
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
            cells.append((pad(cut(matrix.label(claim), first), first), *entries))
        lines += [(" " * GAP).join(line).rstrip() for line in cells] + [""]
    return [*lines, *legend]


def _column_widths(matrix: Matrix, names: Sequence[str]) -> list[int]:
    return [
        max(columns(name), *(len(matrix.entry(c, model)) for c in matrix.claims))
        for name, model in zip(names, matrix.models, strict=True)
    ]


def _blocks(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    """Split columns into blocks that fit the width."""
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
    """Split a text anywhere into pieces of at most ``width`` columns."""
    piece, used = "", 0
    for character in text:
        wide = _column(character)
        if used + wide > width:
            yield piece
            piece, used = "", 0
        piece, used = piece + character, used + wide
    yield piece


def fold(text: str, width: int, *, indent: str = "") -> list[str]:
    """Break a text between words into lines of at most ``width`` columns."""
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
