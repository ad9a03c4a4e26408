"""Draw what changed between two runs as one self-contained HTML page.

Readable without scripts; ``changes.js`` adds filters and links to them. Style, policy
and safety are those of :mod:`probes.report.page`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from probes.report.interval_axis import place_intervals
from probes.report.matrix import (
    ID_LIMIT,
    LETTERS,
    number,
    plain,
    rerun_command,
    several,
    split_variant,
)
from probes.report.page import render
from probes.results.comparison import (
    CHANGE_KINDS,
    GRAVE,
    CellResult,
    Change,
    count_changes,
    effect_shift,
)
from probes.results.record import Record
from probes.results.row_shape import CELL
from probes.results.rows import Row, row_id, write_text

PAGE = "changes.html"
MOST_DRAWN = 600
"""Changes drawn on the page, the gravest first: more take a browser seconds to lay out
again, and a reader longer."""
TONES = {
    "opposite": "R",
    "lost": "E",
    "weakened": "I",
    "strengthened": "S",
    "drift": "N",
    "new": "N",
    "same": "N",
}


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """Two runs, cell by cell.

    Attributes:
        before: What the earlier run is called.
        after: What the later run is called.
        changes: Every cell, the gravest first.
        rows: A cell's row in the later run, or else in the earlier one.
        differs: Settings and versions that are not the same: before, after.
    """

    before: str
    after: str
    changes: Sequence[Change]
    rows: Mapping[str, Row] = field(default_factory=dict)
    differs: Mapping[str, Sequence[str]] = field(default_factory=dict)


def changes_page(compared: RunComparison) -> str:
    """Draw counts by kind and by claim, and every cell that is not the same."""
    changes = compared.changes
    counts = count_changes(changes)
    moved = [change for change in changes if change.kind != "same"]
    grave: dict[str, int] = {kind: counts[kind] for kind in GRAVE if counts[kind]}
    return render(
        "changes.html",
        scripts=("changes.js",),
        headline=_headline(grave, len(moved), len(changes)),
        is_grave=bool(grave),
        before=plain(compared.before),
        after=plain(compared.after),
        differs={plain(k, 80): [plain(v) for v in p] for k, p in _pairs(compared)},
        counts=counts,
        meanings=CHANGE_KINDS,
        tones=TONES,
        claims=_claims(changes),
        lines=[_line(c, compared.rows.get(c.cell, {})) for c in moved[:MOST_DRAWN]],
        n_left_out=max(0, len(moved) - MOST_DRAWN),
    )


def _pairs(compared: RunComparison) -> list[tuple[str, Sequence[str]]]:
    return list(compared.differs.items())


def _headline(grave: Mapping[str, int], n_moved: int, n_cells: int) -> str:
    """Say first what closes the gate."""
    said = []
    if "opposite" in grave:
        became = "verdict became its" if grave["opposite"] == 1 else "verdicts became"
        noun = "opposite" if grave["opposite"] == 1 else "their opposites"
        said.append(f"{grave['opposite']} {became} {noun}")
    if "lost" in grave:
        said.append(f"{several(grave['lost'], 'cell')} lost")
    said = said or ["No verdict became its opposite, and no cell was lost"]
    return f"{', '.join(said)}: {n_moved} of {several(n_cells, 'cell')} changed."


def _claims(changes: Sequence[Change]) -> list[tuple[str, list[int]]]:
    """Count the kinds of change of each claim, all its variants together."""
    found: dict[str, Counter[str]] = {}
    for change in changes:
        claim = split_variant(change.cell.partition("|")[0])[0]
        found.setdefault(claim, Counter())[change.kind] += 1
    return [
        (plain(claim), [counts[kind] for kind in CHANGE_KINDS])
        for claim, counts in sorted(found.items())
    ]


def _line(change: Change, row: Row) -> dict[str, Any]:
    """Name what the page shows of a changed cell."""
    named = [row[k] for k in CELL] if row else change.cell.split("|")
    claim, model, dataset, n = [*named, "", "", ""][:4]
    return {
        "kind": change.kind,
        "tone": TONES[change.kind],
        "claim": plain(claim),
        "where": " · ".join(plain(part, 80) for part in (model, dataset, n)),
        "model": plain(model, 80),
        "before": _side(change.before),
        "after": _side(change.after),
        "moved": _moved(change),
        "span": place_intervals(change.before, change.after, row),
        "sentence": plain(row.get("sentence")),
        "reason": plain(row.get("reason"), 2000, lines=True),
        "command": rerun_command(row)[:ID_LIMIT] if "test" in row else "",
    }


def _side(standing: CellResult | None) -> dict[str, str]:
    if standing is None:
        return {"letter": "", "tone": "N", "verdict": "no cell", "effect": ""}
    letter = LETTERS[standing.verdict]
    effect = number(standing.effect)
    if standing.low is not None or standing.high is not None:
        low = "-∞" if standing.low is None else number(standing.low)
        high = "∞" if standing.high is None else number(standing.high)
        effect += f" [{low}, {high}]"
    return {
        "letter": letter,
        "tone": "N" if letter == "-" else letter,
        "verdict": standing.verdict.replace("_", " "),
        "effect": f"{effect} {plain(standing.unit, 40)}",
    }


def _moved(change: Change) -> str:
    """Say by how much the effect moved, also in half-widths of the earlier interval."""
    difference, in_widths = effect_shift(change)
    if difference is None:
        return "–"
    told = f"{difference:+.3g}".replace("-", "−")
    return told if in_widths is None else f"{told} ({in_widths:.2g} half-widths)"


def write_changes(
    record: Record | None, rows: Sequence[Row], run: Mapping[str, Any], folder: Path
) -> Path | None:
    """Draw how a run differs from the one it was compared with, beside its report.

    Args:
        record: The earlier run; None removes the page of an earlier comparison, which
            would speak of other rows.
        rows: Corrected and ordered.
        run: What ``run.json`` holds.
        folder: The report's.

    Returns:
        The page; None where nothing was compared.

    Raises:
        StoreError: The folder cannot be written.
    """
    path, told = folder / PAGE, run.get("record")
    if record is None or not told or not record.applies:
        path.unlink(missing_ok=True)
        return None
    compared = RunComparison(
        before=told["file"],
        after=str(folder / "results.jsonl"),
        changes=record.changes(rows, told["missing"]),
        rows={row_id(row): row for row in rows},
        differs=told["differs"],
    )
    write_text(changes_page(compared), path)
    return path
