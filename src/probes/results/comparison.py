"""What changed between two runs, cell by cell."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["same", "drift", "weakened", "strengthened", "opposite", "lost", "new"]
KINDS: dict[Kind, str] = {
    "opposite": "supported became refuted, or refuted supported",
    "lost": "the cell is missing, or an error",
    "weakened": "a decided cell is undecided",
    "strengthened": "an undecided cell is decided",
    "drift": "the same verdict, the effect outside the earlier interval; or another "
    "kind of undecided",
    "new": "a cell that was not there",
    "same": "the same verdict, the effect inside the earlier interval",
}
"""Every kind of change and what it means, the gravest first."""
GRAVE: tuple[Kind, ...] = ("opposite", "lost")
"""What closes the gate. Two runs of one truth at other seeds often differ by a weakened
or strengthened cell, and hardly ever by an opposite one."""
DECIDED = ("supported", "refuted")
MOST_NAMED = 20
MOST_TOLD = 2000


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a run says of a cell: its verdict alone, and the effect it rests on."""

    verdict: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Standing:
        """Read a row's first effect."""
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
    """A cell in two runs; None where a run has no such cell."""

    cell: str
    kind: Kind
    before: Standing | None
    after: Standing | None

    def __str__(self) -> str:
        before, after = (s or "no cell" for s in (self.before, self.after))
        return f"{self.kind}: {self.cell.replace('|', ' · ')}: {before} → {after}"


def kind_of(before: Standing | None, after: Standing | None) -> Kind:
    """Say how a cell changed; see ``KINDS``. One of the two must be there."""
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


def _has_moved(before: Standing, after: Standing) -> bool:
    """Say whether the effect left the earlier interval; without one, nothing is said.

    An interval of which one end is open is open there.
    """
    if after.effect is None:
        return before.effect is not None
    return (before.low is not None and after.effect < before.low) or (
        before.high is not None and after.effect > before.high
    )


def moved_by(change: Change) -> tuple[float | None, float | None]:
    """Say by how much an effect moved: in its unit, and in half-widths of an interval.

    Returns:
        The difference, None where a run has no effect or another unit; and how often
        half the earlier interval goes into its size, None without a finite interval.
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


def compare(
    before: Mapping[str, Standing], after: Mapping[str, Standing]
) -> list[Change]:
    """Compare two runs by cell, the gravest changes first."""
    changes = [
        Change(
            cell=cell,
            kind=kind_of(before.get(cell), after.get(cell)),
            before=before.get(cell),
            after=after.get(cell),
        )
        for cell in sorted({*before, *after})
    ]
    order = list(KINDS)
    return sorted(changes, key=lambda change: order.index(change.kind))


def count(changes: Iterable[Change]) -> dict[str, int]:
    """Count the changes of each kind, those without any included."""
    found = Counter(change.kind for change in changes)
    return {kind: found[kind] for kind in KINDS}


def comparison_lines(changes: Sequence[Change]) -> list[str]:
    """Write the counts, and name what changed, the gravest first."""
    told = ", ".join(f"{n} {kind}" for kind, n in count(changes).items())
    moved = [change for change in changes if change.kind != "same"]
    lines = [told, *map(str, moved[:MOST_NAMED])]
    if len(moved) > MOST_NAMED:
        lines.append(f"and {len(moved) - MOST_NAMED} more")
    return lines
