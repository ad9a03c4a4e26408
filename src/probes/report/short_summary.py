"""Draw a run as a short Markdown text, for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from probes.report.answer import QUESTION, answer_of
from probes.report.appendix import REASON_LIMIT, WARNING, dataset_lines, record_lines
from probes.report.chart_text import CAPTION, chart_lines
from probes.report.markdown import escape
from probes.report.matrix import (
    LETTERS,
    Matrix,
    alarms,
    arrange,
    count_verdicts,
    counts_text,
    plain,
    several,
    split_variant,
    tests_passed,
    verdict_text,
)
from probes.report.verdict_words import main_effect_text
from probes.results.rows import Row, is_unexpected

MOST_UNEXPECTED = 10
MOST_LETTERS = 65_000
"""GitHub refuses a comment of more than 65,536 letters."""


def short_summary(rows: Sequence[Row], run: Mapping[str, Any]) -> str:
    """Draw alarms, the answer with its chart, unexpected cells, and counts by claim.

    Args:
        rows: Corrected and ordered rows.
        run: The content of ``run.json``.
    """
    warned = alarms(rows, run)
    unexpected = [row for row in rows if is_unexpected(row)]
    matrix = arrange(rows)
    title = warned[0] if warned else QUESTION
    lines = [f"### {escape(title, 2000)}", ""]
    lines += [text for alarm in warned[1:] for text in (escape(alarm), "")]
    for sentence in answer_of(matrix).sentences:
        lines += [escape(sentence, REASON_LIMIT), ""]
    lines += _unexpected(unexpected)
    lines += _chart(matrix)
    lines += [escape(f"{counts_text(rows)}; {tests_passed(run)}."), ""]
    lines += [text for line in record_lines(rows, run) for text in (escape(line), "")]
    lines += [text for line in _warnings(run) for text in (escape(line), "")]
    lines += _counts(rows)
    while sum(len(line) + 1 for line in lines) > MOST_LETTERS:
        lines.pop()
    return "\n".join(lines) + "\n"


def _chart(matrix: Matrix) -> list[str]:
    """Draw the chart, indented: no text of a row can end such a block."""
    lines = chart_lines(matrix)
    if not lines:
        return []
    return [escape(CAPTION), "", *(f"    {line}" for line in lines), ""]


def _warnings(run: Mapping[str, Any]) -> list[str]:
    return [line for line in dataset_lines(run) if line.startswith(WARNING)]


def _unexpected(rows: Sequence[Row]) -> list[str]:
    """List the cells that crashed or differ from their record, with effects."""
    if not rows:
        return []
    lines = [f"**{several(len(rows), 'unexpected cell')}**", ""]
    lines += ["| cell | verdict | effect | reason |", "| --- | --- | --- | --- |"]
    for row in rows[:MOST_UNEXPECTED]:
        where = " · ".join(plain(row[k], 80) for k in ("claim", "model", "dataset"))
        where += f" · {row['n_demonstrations']}"
        effect = main_effect_text(row) if row["effects"] else "–"
        line = (where, verdict_text(row), effect, plain(row["reason"]) or "–")
        lines.append("| " + " | ".join(map(escape, line)) + " |")
    if len(rows) > MOST_UNEXPECTED:
        lines += ["", f"and {len(rows) - MOST_UNEXPECTED} more"]
    return [*lines, ""]


def _counts(rows: Sequence[Row]) -> list[str]:
    """Count the verdicts of each claim, over all its variants."""
    claims = arrange(rows).claims
    if not claims:
        return []
    letters = " | ".join(name.replace("_", " ") for name in LETTERS)
    lines = [f"| claim | {letters} |", "| --- " * (len(LETTERS) + 1) + "|"]
    ordered = sorted(rows, key=lambda row: split_variant(row["claim"])[0])
    for name, found in groupby(ordered, key=lambda row: split_variant(row["claim"])[0]):
        counts = count_verdicts(list(found))
        numbers = (str(counts.get(verdict, "")) for verdict in LETTERS)
        lines.append(f"| {escape(name)} | " + " | ".join(numbers) + " |")
    return lines
