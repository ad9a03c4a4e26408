"""Collect what the page of changes shows of each cell and of each claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probes.report.interval_axis import place_intervals
from probes.report.matrix import ID_LIMIT, LETTERS, plain, split_variant
from probes.report.number_text import interval_text, number
from probes.report.page import tone_of
from probes.report.rerun import rerun_command
from probes.results.comparison import (
    CHANGE_KINDS,
    CellResult,
    Change,
    ChangeKind,
    effect_shift,
    gravest,
)
from probes.results.row_shape import CELL
from probes.results.rows import Row

CELL_LIMIT = 400
"""Letters of a cell's name, by which a dot finds its line."""
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
class ComparedCell:
    """A cell in all runs.

    Attributes:
        cell: Its name, see :func:`probes.results.rows.row_id`.
        changes: How it changed from the first run to each other one; None where neither
            has it.
    """

    cell: str
    changes: Sequence[Change | None]

    @property
    def known(self) -> list[Change]:
        """The changes that there are; at least one."""
        return [change for change in self.changes if change is not None]

    @property
    def kind(self) -> ChangeKind:
        """The most serious kind of change."""
        return gravest(self.known)

    @property
    def results(self) -> list[CellResult | None]:
        """The cell in each run, the first one included."""
        first = self.known[0].before
        return [first, *(None if c is None else c.after for c in self.changes)]


def compared_cells(changes: Sequence[Sequence[Change]]) -> list[ComparedCell]:
    """Put the changes of each cell side by side, the most serious first.

    Args:
        changes: For each run after the first, all cells against the first.
    """
    by_run = [{change.cell: change for change in run} for run in changes]
    cells = [
        ComparedCell(cell=cell, changes=[run.get(cell) for run in by_run])
        for cell in sorted({cell for run in by_run for cell in run})
    ]
    order = list(CHANGE_KINDS)
    return sorted(cells, key=lambda one: order.index(one.kind))


def changes_by_claim(cells: Sequence[ComparedCell]) -> list[tuple[str, list[int]]]:
    """Count the kinds of change of each claim, over all its variants."""
    by_claim: dict[str, Counter[str]] = {}
    for one in cells:
        claim = split_variant(one.cell.partition("|")[0])[0]
        by_claim.setdefault(claim, Counter())[one.kind] += 1
    return [
        (plain(claim), [counts[kind] for kind in CHANGE_KINDS])
        for claim, counts in sorted(by_claim.items())
    ]


def change_line(one: ComparedCell, row: Row) -> dict[str, Any]:
    """Collect what the page shows of a changed cell."""
    named = [row[k] for k in CELL] if row else one.cell.split("|")
    claim, model, dataset, n = [*named, "", "", ""][:4]
    return {
        "cell": plain(one.cell, CELL_LIMIT),
        "kind": one.kind,
        "tone": TONES[one.kind],
        "claim": plain(claim),
        "where": " · ".join(plain(part, 80) for part in (model, dataset, n)),
        "model": plain(model, 80),
        "sides": [_side(result) for result in one.results],
        "moved": list(_moved(one)),
        "span": place_intervals(one.results, row),
        "sentence": plain(row.get("sentence")),
        "reason": plain(row.get("reason"), 2000, lines=True),
        "command": rerun_command(row)[:ID_LIMIT] if "test" in row else "",
    }


def _side(result: CellResult | None) -> dict[str, str]:
    if result is None:
        return {"letter": "", "tone": "N", "verdict": "no cell", "effect": ""}
    effect = number(result.effect)
    if result.low is not None or result.high is not None:
        effect += f" {interval_text(result.low, result.high)}"
    return {
        "letter": LETTERS[result.verdict],
        "tone": tone_of(result.verdict),
        "verdict": result.verdict.replace("_", " "),
        "effect": f"{effect} {plain(result.unit, 40)}",
    }


def _moved(one: ComparedCell) -> Iterator[str]:
    """Write how far each effect moved, also in half-widths of the first interval."""
    for change in one.changes:
        difference, in_widths = effect_shift(change) if change else (None, None)
        if difference is None:
            yield "–"
            continue
        text = f"{difference:+.3g}".replace("-", "−")
        yield text if in_widths is None else f"{text} ({in_widths:.2g} half-widths)"


def latest_rows(sides: Sequence[Mapping[str, Row]]) -> dict[str, Row]:
    """Give each cell its row, from the last run that has it."""
    return {cell: row for rows in sides for cell, row in rows.items()}
