"""Draw what changed between runs as one self-contained HTML page.

The page is readable without scripts; ``changes.js`` adds filters, links and a walk
through the dots. Style, content policy and safety are those of
:mod:`probes.report.page`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from probes.report.change_lines import (
    TONES,
    ComparedCell,
    change_line,
    changes_by_claim,
    compared_cells,
    latest_rows,
)
from probes.report.effect_scatter import drawn_scatter
from probes.report.interval_axis import WIDTH
from probes.report.matrix import plain, several
from probes.report.page import render
from probes.results.comparison import CHANGE_KINDS, GRAVE, Change
from probes.results.reading import complete_row
from probes.results.record import Record
from probes.results.rows import Row, row_id, write_text

PAGE = "changes.html"
MOST_DRAWN = 600
"""Changes drawn on the page, the most serious first. With more, a browser takes seconds
for each new layout."""
BAR = 16
"""Pixels between the effects of two runs in the drawing of a cell."""


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """Two or more runs, compared cell by cell with the first.

    Attributes:
        names: The names of the runs.
        changes: For each run after the first, every cell against the first run.
        sides: The rows of each run by cell; empty for a run of which only verdicts are
            recorded.
        differs: Settings and versions that differ, with the value of each run.
    """

    names: Sequence[str]
    changes: Sequence[Sequence[Change]]
    sides: Sequence[Mapping[str, Row]] = ()
    differs: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """What the page calls the runs."""
        if len(self.names) == 2:
            return ["before", "after"]
        return [f"run {i}" for i, _ in enumerate(self.names, start=1)]


def changes_page(compared: RunComparison) -> str:
    """Draw counts by kind and by claim, every cell that changed, and the effects."""
    cells = compared_cells(compared.changes)
    counts = {kind: sum(c.kind == kind for c in cells) for kind in CHANGE_KINDS}
    moved = [one for one in cells if one.kind != "same"]
    grave: dict[str, int] = {kind: counts[kind] for kind in GRAVE if counts[kind]}
    rows = latest_rows(compared.sides)
    lines = [change_line(one, rows.get(one.cell, {})) for one in moved[:MOST_DRAWN]]
    return render(
        "changes.html",
        scripts=("changes.js",),
        styles=("page.css", "changes.css"),
        headline=_headline(grave, len(moved), len(cells)),
        is_grave=bool(grave),
        runs=list(zip(compared.labels, map(plain, compared.names), strict=True)),
        differs={setting_name(k): [plain(v) for v in p] for k, p in _facts(compared)},
        counts=counts,
        meanings=CHANGE_KINDS,
        tones=TONES,
        claims=changes_by_claim(cells),
        lines=lines,
        height=8 + BAR * len(compared.names),
        width=WIDTH,
        spacing=BAR,
        n_left_out=max(0, len(moved) - MOST_DRAWN),
        scatters=_scatters(compared, cells),
    )


def _facts(compared: RunComparison) -> list[tuple[str, Sequence[str]]]:
    return list(compared.differs.items())


def setting_name(name: str) -> str:
    """Write the name of a setting for people: ``n_sets`` is "sets"."""
    return plain(name, 80).removeprefix("n_").replace("_", " ")


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


def _scatters(
    compared: RunComparison, cells: Sequence[ComparedCell]
) -> list[dict[str, Any]]:
    """Draw the effects of each later run against those of the first."""
    if len(compared.sides) < len(compared.names):
        return []
    kinds = {one.cell: one.kind for one in cells}
    first, *others = (
        {cell: complete_row(row) for cell, row in rows.items()}
        for rows in compared.sides
    )
    labels = compared.labels
    drawn = [
        {"x": labels[0], "y": label, **drawn_scatter(first, rows, kinds)}
        for label, rows in zip(labels[1:], others, strict=True)
    ]
    return [scatter for scatter in drawn if scatter["dots"]]


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
        names=[comparison["file"], str(folder / "results.jsonl")],
        changes=[record.changes(rows, comparison["missing"])],
        sides=[{row_id(row): row for row in rows}],
        differs=comparison["differs"],
    )
    write_text(changes_page(compared), path)
    return path
