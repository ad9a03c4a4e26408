"""Draw the whole run as one Markdown file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from probes.report.answer import QUESTION, answer_of
from probes.report.appendix import (
    REASON_LIMIT,
    dataset_lines,
    record_lines,
    setup_lines,
    speed_lines,
)
from probes.report.matrix import (
    IDENTITY,
    IDENTITY_MEANS,
    LETTERS,
    MEANINGS,
    UNEXPECTED,
    Matrix,
    alarms,
    arrange,
    plain,
    summary_line,
    verdict_text,
)
from probes.report.number_text import number
from probes.report.verdict_words import main_effect_text
from probes.results.rows import Row, is_unexpected

HEADER = (
    "model",
    "dataset",
    "demonstrations",
    "verdict",
    "effect [interval] unit",
    "floor",
    "ceiling",
    "margin",
    "p adjusted",
    "reason, note",
    "also measured",
)
READING = (
    "- Letters with numbers count cells, one for each dataset and number of "
    "demonstrations: R1 -1 is one refuted cell and one to which the claim does not "
    "apply.",
    "- blank: no such cell can exist, because the claim is not about the model.",
    "- *Floor*: the same measure for arms that learned nothing. *Ceiling*: the same "
    "measure for ICL against ICL. If a cell has both, its effect is the share of the "
    "way from floor to ceiling.",
    "- *Effect [interval]*: the interval of *supported*, at 90 %. A claim with two "
    "sides is refuted if the 95 % interval is outside its margin; where that decides, "
    "it follows.",
    "- *Margin*: the largest effect that does not matter, fixed before the run. "
    "*p adjusted*: Benjamini-Hochberg over the whole matrix.",
    "- *Also measured*: measurements that decide nothing, including the arms of the "
    "floors. Their intervals are in results.jsonl and index.html.",
)
LONG_NOTE = 40
"""Longer notes that several cells share are written once, above the table."""


def matrix_markdown(rows: Sequence[Row], run: Mapping[str, Any]) -> str:
    """Draw title, settings, matrix and one table for each claim.

    Args:
        rows: Corrected and ordered rows.
        run: The content of ``run.json``.
    """
    matrix, warned = arrange(rows), alarms(rows, run)
    lines = [f"# {escape(' '.join(warned) or QUESTION, 2000)}", ""]
    for sentence in answer_of(matrix).sentences:
        lines += [escape(sentence, REASON_LIMIT), ""]
    lines += [escape(summary_line(rows, run), 2000), ""]
    lines += ["## How to read this", "", *_legend(matrix), ""]
    lines += ["## The run", "", *_settings(rows, run), ""]
    lines += ["## Matrix", "", *_matrix_table(matrix), "", "## Claims", ""]
    for claim in matrix.claims:
        lines += [*_section(matrix, claim), ""]
    return "\n".join(lines)


def _settings(rows: Sequence[Row], run: Mapping[str, Any]) -> list[str]:
    made = run["provenance"]
    versions = ", ".join(f"{k} {v}" for k, v in made["versions"].items())
    facts = [
        f"{made['n_sets']} demonstration sets × {made['n_queries']} queries; "
        f"{made['n_orders']} orders; {made['n_calibration']} calibration queries",
        f"seed {made['seed']}, {made['dtype']} on {made['device']}, {made['machine']}",
        f"commit {made['commit'] or 'unknown'}; {versions}",
        *(f"{name} {value}" for name, value in made.get("options", {}).items()),
        *setup_lines(run),
        *dataset_lines(run),
        *record_lines(rows, run),
        *speed_lines(run),
    ]
    tests = {n: "passed" if ok else "**FAILED**" for n, ok in run["self_tests"].items()}
    lines = [f"- {escape(fact)}" for fact in facts]
    lines += [f"- self-test, {escape(name)}: {found}" for name, found in tests.items()]
    return lines if tests else [*lines, "- no self-test ran"]


def _section(matrix: Matrix, claim: str) -> list[str]:
    """Draw a claim: its sentence, what its cells share, and a table of its cells."""
    first, cells = matrix.claims[claim], matrix.cells_of(claim)
    others = list(dict.fromkeys(e["name"] for row in cells for e in row["effects"][1:]))
    notes = Counter(row["note"] for row in cells if len(row["note"] or "") > LONG_NOTE)
    shared = [note for note, n in notes.items() if n > 1]
    lines = [f"### {escape(matrix.label(claim))}", ""]
    lines += [f"**Claim:** {escape(first['sentence'])}", ""]
    lines += [f"**Source:** {escape(first['source'])}", ""]
    if others:
        listed = escape("; ".join(others), 2000)
        lines += [f"**Also measured, in this order:** {listed}", ""]
    for i, note in enumerate(shared, start=1):
        lines += [f"**Note {i}:** {escape(note)}", ""]
    return lines + _table(HEADER, (_cells(row, others, shared) for row in cells))


def escape(value: object, limit: int = 300) -> str:
    """Escape a text so that Markdown shows it literally, also inside tables.

    Args:
        value: Any text; None is empty.
        limit: Maximum length in characters before escaping.
    """
    text = plain(value, limit).strip()
    text = re.sub(r"([\\`*\[\]|~$#!])", r"\\\1", text)
    # An _ between letters is not emphasis: identifiers stay readable in the source.
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Draw a table of escaped texts."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _matrix_table(matrix: Matrix) -> list[str]:
    if not matrix.claims:
        return ["There are no rows."]
    header = ["claim"]
    header += [f"{escape(m)} ({escape(kind)})" for m, kind in matrix.models.items()]
    lines = []
    for claim in matrix.claims:
        entries = [matrix.entry(claim, model) for model in matrix.models]
        lines.append([escape(text) for text in (matrix.label(claim), *entries)])
    return _table(header, lines)


def _legend(matrix: Matrix) -> list[str]:
    """Explain letters, counts and columns."""
    lines = [
        f"- **{escape(letter)}** {name.replace('_', ' ')}: {MEANINGS[name]}"
        for name, letter in LETTERS.items()
    ]
    lines.append(f"- **\\!** {UNEXPECTED}")
    if matrix.has_identities:
        lines.append(f"- **{IDENTITY}** {IDENTITY_MEANS}")
    return [*lines, *READING]


def _cells(row: Row, others: Sequence[str], shared: Sequence[str]) -> list[str]:
    effect = row["effects"][0] if row["effects"] else None
    note = row["note"]
    if note in shared:
        note = f"note {shared.index(note) + 1}"
    said = "; ".join(plain(text) for text in (row["reason"], note) if text)
    bounds = ("floor", "ceiling", "margin", "p_adjusted")
    numbers = ["–" if effect is None else number(effect[key]) for key in bounds]
    verdict = verdict_text(row) + (" !" if is_unexpected(row) else "")
    values = {e["name"]: number(e["value"], 3) for e in row["effects"][1:]}
    return [
        escape(row["model"]),
        escape(row["dataset"]),
        str(row["n_demonstrations"]),
        escape(verdict),
        "–" if effect is None else escape(main_effect_text(row)),
        *numbers,
        escape(said),
        " / ".join(values.get(name, "–") for name in others),
    ]
