"""Draw the matrix for a terminal, as plain text that fits its width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from probes.report.answer import answer_of
from probes.report.appendix import (
    WARNING,
    dataset_lines,
    reason_lines,
    record_lines,
    setup_lines,
    speed_lines,
)
from probes.report.matrix import (
    ID_LIMIT,
    IDENTITY,
    IDENTITY_MEANS,
    LETTERS,
    UNEXPECTED,
    Matrix,
    alarms,
    arrange,
    plain,
    several,
    summary_line,
    verdict_text,
)
from probes.report.rerun import quote, rerun_words
from probes.report.terminal_matrix import folded_block, full_block
from probes.report.terminal_text import chunks, columns, fold
from probes.report.verdict_words import main_effect_text
from probes.results.rows import Row, is_unexpected

MOST_UNEXPECTED = 20
MOST_REASONS = 6
MOST_REASONS_FOLDED = 2
MOST_LINES = 37
"""Lines of a run without surprises; with pytest's own, they are at most 40."""
LEAST_ROOM = 8
"""Lines of the matrix, however much else there is to say."""


def matrix_lines(
    rows: Sequence[Row],
    run: Mapping[str, Any],
    *,
    width: int = 100,
    is_verbose: bool = False,
) -> list[str]:
    """Draw the answer, unexpected cells, the matrix, its legend and the headline.

    Args:
        rows: Corrected and ordered rows.
        run: The content of ``run.json``.
        width: Columns of the terminal, at least 40.
        is_verbose: Draw all models and variants, all frequent reasons, the rows of the
            datasets and the speed. Otherwise variants are folded, and what does not fit
            ``MOST_LINES`` is left out, except for unexpected cells.

    Returns:
        Lines of at most ``width`` columns, without colour codes. Reasons not to trust
        the run come first, and again in the headline, which comes last.
    """
    matrix, unexpected = arrange(rows), [row for row in rows if is_unexpected(row)]
    lines = [line for alarm in alarms(rows, run) for line in fold(alarm, width)]
    lines += [""] if lines else []
    lines += _unexpected_lines(unexpected, width)
    answer = answer_of(matrix)
    said = answer.sentences if is_verbose else [answer.lead, *answer.examples[:1]]
    before = [line for text in said for line in fold(text, width)]
    after = _lines_after(rows, run, width, is_verbose=is_verbose)
    if is_verbose:
        block = ["", *full_block(matrix, width), *fold(_legend(matrix), width), ""]
    else:
        room = max(LEAST_ROOM, MOST_LINES - len(before) - len(after) - 2)
        block = ["", *folded_block(matrix, width, room=room), ""]
    return [*lines, *before, *block, *after]


def _lines_after(
    rows: Sequence[Row], run: Mapping[str, Any], width: int, *, is_verbose: bool
) -> list[str]:
    """Write what follows the matrix: reasons, rows, comparison, speed, headline."""
    most = MOST_REASONS if is_verbose else MOST_REASONS_FOLDED
    reasons, datasets = reason_lines(rows), dataset_lines(run)
    texts = [] if is_verbose else [FOLDED_LEGEND]
    texts += reasons[:most]
    if len(reasons) > most and is_verbose:
        texts.append(f"and {several(len(reasons) - most, 'other reason')}")
    texts += [x for x in datasets if is_verbose or x.startswith(WARNING)]
    texts += setup_lines(run)
    texts += record_lines(rows, run)
    texts += speed_lines(run) if is_verbose else []
    texts.append(summary_line(rows, run))
    return [line for text in texts for line in fold(text, width)]


FOLDED_LEGEND = (
    "S supported, R refuted, I inconclusive, – nothing to judge, E error; S1R2: counts "
    "of cells; then the effect, or the median of several; ! unexpected"
)


def _legend(matrix: Matrix) -> str:
    letters = ", ".join(f"{x} {name.replace('_', ' ')}" for name, x in LETTERS.items())
    identity = f"; {IDENTITY} {IDENTITY_MEANS}" if matrix.has_identities else ""
    return (
        f"{letters}; R1 I2: counts of cells; ! {UNEXPECTED}{identity}; blank: no such "
        f"cell"
    )


def missing_lines(tests: Sequence[str], width: int, *, most: int | None) -> list[str]:
    """Name tests that were collected and have no report.

    Args:
        tests: Their ids.
        width: Columns of the terminal.
        most: How many are named; None names all.
    """
    shown = [f"no report: {plain(test, ID_LIMIT)}" for test in tests[:most]]
    if rest := len(tests) - len(shown):
        shown.append(f"and no report of {rest} more")
    return [line for text in shown for line in fold(text, width)]


def _unexpected_lines(rows: Sequence[Row], width: int) -> list[str]:
    if not rows:
        return []
    lines = [f"Unexpected: {len(rows)}"]
    for row in rows[:MOST_UNEXPECTED]:
        where = " · ".join(plain(row[key], 80) for key in ("claim", "model", "dataset"))
        where += f" · {row['n_demonstrations']} demonstrations"
        lines += fold(f"{where}: {verdict_text(row)}", width)
        if row["effects"]:
            lines += fold(main_effect_text(row), width, indent="  ")
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
    pieces = [quote(piece) for piece in chunks(word, room)]
    if any(columns(piece) > room + 2 for piece in pieces):
        # Quoting at most quintuples.
        pieces = [quote(piece) for piece in chunks(word, room // 5)]
    return pieces
