"""Draw the matrix as Markdown: the whole run in one file that any viewer shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from probes.report.matrix import (
    LETTERS,
    MEANINGS,
    UNEXPECTED,
    Matrix,
    arrange,
    effect_text,
    headline,
    number,
    plain,
    verdict_text,
)
from probes.results import Row, is_unexpected

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
)


def markdown(rows: Sequence[Row], run: Mapping[str, Any]) -> str:
    """Draw headline, self-tests, matrix and one table for each claim.

    Args:
        rows: Corrected and ordered.
        run: What ``run.json`` holds.
    """
    matrix = arrange(rows)
    lines = [escape(headline(rows, run), 2000), "", "## Self-tests", ""]
    tests = run["self_tests"].items()
    lines += [f"- {escape(n)}: {'passed' if ok else '**FAILED**'}" for n, ok in tests]
    lines += [] if run["self_tests"] else ["- none ran"]
    lines += ["", "## Matrix", "", *_matrix_table(matrix), "", *_legend(), ""]
    lines += ["## Claims", ""]
    for claim, first in matrix.claims.items():
        cells = matrix.cells_of(claim)
        lines += [f"### {escape(claim)}", ""]
        lines += [f"**Claim:** {escape(first['sentence'])}", ""]
        lines += [f"**Source:** {escape(first['source'])}", ""]
        lines += [*_table(HEADER, map(_cells, cells)), ""]
    return "\n".join(lines)


def escape(value: object, limit: int = 300) -> str:
    """Make a text stand as itself anywhere in Markdown, tables included.

    Args:
        value: Any text; None is empty.
        limit: Longest text in characters before escaping.
    """
    text = plain(value, limit).strip()
    text = re.sub(r"([\\`*\[\]|~$#!])", r"\\\1", text)
    # Identifiers stay readable in the source: _ between letters is no emphasis.
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Draw a table of texts that are escaped already."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _matrix_table(matrix: Matrix) -> list[str]:
    if not matrix.claims:
        return ["No cell has a row."]
    header = ["claim"]
    header += [f"{escape(m)} ({escape(kind)})" for m, kind in matrix.models.items()]
    return _table(
        header,
        (
            [escape(claim), *(escape(matrix.entry(claim, m)) for m in matrix.models)]
            for claim in matrix.claims
        ),
    )


def _legend() -> list[str]:
    words = [
        f"{letter} {name.replace('_', ' ')} ({MEANINGS[name]})"
        for name, letter in LETTERS.items()
    ]
    return [f"{', '.join(words)}; ! {UNEXPECTED}; blank: no such cell."]


def _cells(row: Row) -> list[str]:
    effect = row["effects"][0] if row["effects"] else None
    said = "; ".join(plain(row[key]) for key in ("reason", "note") if row[key])
    bounds = ("floor", "ceiling", "margin", "p_adjusted")
    numbers = ["–" if effect is None else number(effect[key]) for key in bounds]
    verdict = verdict_text(row) + (" !" if is_unexpected(row) else "")
    return [
        escape(row["model"]),
        escape(row["dataset"]),
        str(row["n_demonstrations"]),
        escape(verdict),
        "–" if effect is None else escape(effect_text(effect)),
        *numbers,
        escape(said),
    ]
