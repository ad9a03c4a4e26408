"""What changed between two runs, cell by cell.

``probes compare BEFORE AFTER`` compares two ``results.jsonl`` and ends
with 1 where a verdict turned into its opposite or a cell was lost. ``--page FILE`` also
draws it, see :mod:`probes.report.changes`.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from probes.errors import ProbesError

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the two runs that the command line names."""
    from probes.report.matrix import plain
    from probes.results.reading import read_rows_of
    from probes.results.rows import row_id

    given = _parser().parse_args(arguments)
    try:
        rows = [
            {row_id(row): row for row in read_rows_of(path)}
            for path in (given.before, given.after)
        ]
        changes = compare(
            *({cell: Standing.of(row) for cell, row in run.items()} for run in rows)
        )
        if given.page is not None:
            _draw(given, changes, *rows)
    except ProbesError as error:
        print(plain(error, MOST_TOLD), file=sys.stderr)
        return 2
    # Rows come from anywhere: nothing in them may steer the terminal.
    print("\n".join(plain(line, MOST_TOLD) for line in comparison_lines(changes)))
    return int(any(change.kind in GRAVE for change in changes))


def _draw(
    given: argparse.Namespace,
    changes: Sequence[Change],
    before: Mapping[str, Mapping[str, Any]],
    after: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write the page of changes."""
    from probes.report.changes import Compared, changes_page
    from probes.results.record import differences
    from probes.results.rows import write_text

    compared = Compared(
        before=str(given.before),
        after=str(given.after),
        changes=changes,
        rows={cell: dict(row) for cell, row in {**before, **after}.items()},
        differs=differences(before.values(), after.values()),
    )
    write_text(changes_page(compared), given.page)


def _parser() -> argparse.ArgumentParser:
    meaning = "; ".join(f"{kind}: {text}" for kind, text in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m probes.results.comparison",
        description="Compare the results.jsonl of two runs, cell by cell.",
        epilog=f"Kinds of change: {meaning}. Exit status: 1 if any is opposite or "
        f"lost, 2 if a file cannot be read or written, else 0.",
    )
    parser.add_argument("before", type=Path, help="the earlier results.jsonl")
    parser.add_argument("after", type=Path, help="the later one")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="also draw it, as one HTML file"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
