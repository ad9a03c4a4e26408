"""Draw what changed between two runs as one self-contained HTML page.

The page is readable without scripts; ``changes.js`` adds filters and links. Style,
content policy and safety are those of :mod:`probes.report.page`.
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
    plain,
    several,
    split_variant,
)
from probes.report.number_text import interval_text, number
from probes.report.page import render
from probes.report.rerun import rerun_command
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
"""Changes drawn on the page, the most serious first. With more, a browser takes seconds
for each new layout."""
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
    """Two runs, compared cell by cell.

    Attributes:
        before: The name of the earlier run.
        after: The name of the later run.
        changes: Every cell, the most serious change first.
        rows: The row of each cell, from the later run if it has one.
        differs: Settings and versions that differ, as (before, after).
    """

    before: str
    after: str
    changes: Sequence[Change]
    rows: Mapping[str, Row] = field(default_factory=dict)
    differs: Mapping[str, Sequence[str]] = field(default_factory=dict)


def changes_page(compared: RunComparison) -> str:
    """Draw counts by kind and by claim, and every cell that changed."""
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
    """Name serious changes first."""
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
    """Count the kinds of change of each claim, over all its variants."""
    by_claim: dict[str, Counter[str]] = {}
    for change in changes:
        claim = split_variant(change.cell.partition("|")[0])[0]
        by_claim.setdefault(claim, Counter())[change.kind] += 1
    return [
        (plain(claim), [counts[kind] for kind in CHANGE_KINDS])
        for claim, counts in sorted(by_claim.items())
    ]


def _line(change: Change, row: Row) -> dict[str, Any]:
    """Collect what the page shows of a changed cell."""
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


def _side(result: CellResult | None) -> dict[str, str]:
    if result is None:
        return {"letter": "", "tone": "N", "verdict": "no cell", "effect": ""}
    letter = LETTERS[result.verdict]
    effect = number(result.effect)
    if result.low is not None or result.high is not None:
        effect += f" {interval_text(result.low, result.high)}"
    return {
        "letter": letter,
        "tone": "N" if letter == "-" else letter,
        "verdict": result.verdict.replace("_", " "),
        "effect": f"{effect} {plain(result.unit, 40)}",
    }


def _moved(change: Change) -> str:
    """Write how far an effect moved, also in half-widths of the earlier interval."""
    difference, in_widths = effect_shift(change)
    if difference is None:
        return "–"
    text = f"{difference:+.3g}".replace("-", "−")
    return text if in_widths is None else f"{text} ({in_widths:.2g} half-widths)"


def write_changes(
    record: Record | None, rows: Sequence[Row], run: Mapping[str, Any], folder: Path
) -> Path | None:
    """Draw how a run differs from the one that it was compared with.

    Args:
        record: The earlier run. None removes the page of an earlier comparison, which
            would describe other rows.
        rows: Corrected and ordered rows.
        run: The content of ``run.json``.
        folder: The folder of the report.

    Returns:
        The page; None if nothing was compared.

    Raises:
        StoreError: The folder cannot be written.
    """
    path, comparison = folder / PAGE, run.get("record")
    if record is None or not comparison or not record.applies:
        path.unlink(missing_ok=True)
        return None
    compared = RunComparison(
        before=comparison["file"],
        after=str(folder / "results.jsonl"),
        changes=record.changes(rows, comparison["missing"]),
        rows={row_id(row): row for row in rows},
        differs=comparison["differs"],
    )
    write_text(changes_page(compared), path)
    return path
