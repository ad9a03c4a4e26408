"""Compare runs, cell by cell."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

ChangeKind = Literal[
    "same", "drift", "weakened", "strengthened", "opposite", "lost", "new"
]
CHANGE_KINDS: dict[ChangeKind, str] = {
    "opposite": "supported became refuted, or refuted supported",
    "lost": "the cell is missing, or an error",
    "weakened": "a decided cell is inconclusive",
    "strengthened": "an inconclusive cell is decided",
    "drift": "the same verdict, the effect outside the earlier interval; or "
    "inconclusive became not applicable, or back",
    "new": "a cell that the earlier run did not have",
    "same": "the same verdict, the effect inside the earlier interval",
}
"""Every kind of change and its meaning, the most serious first."""
GRAVE: tuple[ChangeKind, ...] = ("opposite", "lost")
"""Kinds of change for which ``probes compare`` exits with 1. Two runs of the same truth
with different seeds often differ in a weakened or strengthened cell, and hardly ever in
an opposite one."""
DECIDED = ("supported", "refuted")
MOST_NAMED = 20
LINE_LIMIT = 2000


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """A cell's own verdict in one run, and the effect that the verdict rests on."""

    verdict: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> CellResult:
        """Read the result of a row: its own verdict and its first effect."""
        first = row["effects"][0] if row["effects"] else {}
        return cls(
            verdict=row.get("alone", row["verdict"]),
            effect=first.get("value"),
            low=first.get("low"),
            high=first.get("high"),
            unit=first.get("unit", ""),
        )

    def __str__(self) -> str:
        size = "" if self.effect is None else f" ({self.effect:.4g} {self.unit})"
        return f"{self.verdict}{size}"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A cell in two runs; None if a run does not have the cell."""

    cell: str
    kind: ChangeKind
    before: CellResult | None
    after: CellResult | None

    def __str__(self) -> str:
        before, after = (s or "no cell" for s in (self.before, self.after))
        return f"{self.kind}: {self.cell.replace('|', ' · ')}: {before} → {after}"


def classify_change(before: CellResult | None, after: CellResult | None) -> ChangeKind:
    """Say how a cell changed; see ``CHANGE_KINDS``. At most one side may be None."""
    if before is None or before.verdict == "error":
        return "new"
    if after is None or after.verdict == "error":
        return "lost"
    was, now = before.verdict in DECIDED, after.verdict in DECIDED
    if was != now:
        return "weakened" if was else "strengthened"
    if before.verdict != after.verdict:
        return "opposite" if was else "drift"
    return "drift" if _has_moved(before, after) else "same"


def _has_moved(before: CellResult, after: CellResult) -> bool:
    """Say whether the effect left the earlier interval; an open end counts as infinite.

    Without an earlier interval, no effect counts as moved.
    """
    if after.effect is None:
        return before.effect is not None
    return (before.low is not None and after.effect < before.low) or (
        before.high is not None and after.effect > before.high
    )


def effect_shift(change: Change) -> tuple[float | None, float | None]:
    """Measure by how much an effect moved.

    Returns:
        The difference in the effect's unit, None if a run has no effect or another
        unit; and its size in half-widths of the earlier interval, None if that interval
        is not finite.
    """
    before, after = change.before, change.after
    if before is None or after is None or before.unit != after.unit:
        return None, None
    if before.effect is None or after.effect is None:
        return None, None
    difference = after.effect - before.effect
    if not math.isfinite(difference):
        return None, None
    if before.low is None or before.high is None or not before.high > before.low:
        return difference, None
    half = (before.high - before.low) / 2
    return difference, abs(difference) / half if math.isfinite(half) else None


def compare_cells(
    before: Mapping[str, CellResult], after: Mapping[str, CellResult]
) -> list[Change]:
    """Compare two runs by cell, and put the most serious changes first."""
    changes = [
        Change(
            cell=cell,
            kind=classify_change(before.get(cell), after.get(cell)),
            before=before.get(cell),
            after=after.get(cell),
        )
        for cell in sorted({*before, *after})
    ]
    order = list(CHANGE_KINDS)
    return sorted(changes, key=lambda change: order.index(change.kind))


def gravest(changes: Iterable[Change]) -> ChangeKind:
    """Return the most serious kind among the changes of a cell, at least one."""
    return min((change.kind for change in changes), key=list(CHANGE_KINDS).index)


def count_changes(changes: Iterable[Change]) -> dict[str, int]:
    """Count the changes of each kind, including kinds that do not occur."""
    counts = Counter(change.kind for change in changes)
    return {kind: counts[kind] for kind in CHANGE_KINDS}


def comparison_lines(changes: Sequence[Change]) -> list[str]:
    """Write the counts, then name the changes, the most serious first."""
    counts = ", ".join(f"{n} {kind}" for kind, n in count_changes(changes).items())
    moved = [change for change in changes if change.kind != "same"]
    lines = [counts, *map(str, moved[:MOST_NAMED])]
    if len(moved) > MOST_NAMED:
        lines.append(f"and {len(moved) - MOST_NAMED} more")
    return lines
