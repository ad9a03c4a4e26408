"""Draw one run's effects against another's on a shared scale: effect in margins.

Pure numbers and safe texts: a template draws them as SVG.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from probes.report.change_lines import CELL_LIMIT
from probes.report.common_scale import LEAST, MOST, TICKS, Excess, excess_of, position
from probes.report.headline import JUDGED
from probes.report.matrix import plain, several
from probes.report.number_text import short_number
from probes.report.page import tone_of
from probes.results.comparison import ChangeKind
from probes.results.rows import Row

SIZE, LEFT, FOOT, EDGE = 420, 52, 36, 10
RADIUS = 4
MOST_DOTS = 3000
"""Dots in a drawing. The cells that moved farthest are kept."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A cell that both runs judged and whose claim has a margin.

    Attributes:
        cell: The cell's name.
        first: Its effect in the first run, in margins; see :mod:`common_scale`.
        other: The same in the other run.
        row: Its row in the other run.
        was: Its verdict in the first run, before correction.
    """

    cell: str
    first: Excess
    other: Excess
    row: Row
    was: str

    @property
    def way(self) -> float:
        """How far it moved on the drawn axis."""
        return abs(position(self.other.value) - position(self.first.value))

    @property
    def crosses(self) -> bool:
        """Whether it lies on another side of its margin."""
        return (self.first.value > 0) != (self.other.value > 0)


def pairs_of(first: Mapping[str, Row], other: Mapping[str, Row]) -> list[Pair]:
    """Pair the cells of two runs, those that moved farthest first.

    Args:
        first: The complete rows of a run by cell.
        other: Those of another run.
    """
    return sorted(
        _pairs(first, other), key=lambda pair: (-round(pair.way, 6), pair.cell)
    )


def _pairs(first: Mapping[str, Row], other: Mapping[str, Row]) -> Iterator[Pair]:
    for cell, row in other.items():
        before = first.get(cell)
        if before is None or {before["alone"], row["alone"]} - {*JUDGED}:
            continue
        was, now = excess_of(before), excess_of(row)
        if was is not None and now is not None:
            yield Pair(cell=cell, first=was, other=now, row=row, was=before["alone"])


def drawn_scatter(
    first: Mapping[str, Row],
    other: Mapping[str, Row],
    kinds: Mapping[str, ChangeKind],
) -> dict[str, Any]:
    """Return the drawing of two runs: its size, axes, dots and a summary.

    Args:
        first: The complete rows of a run by cell.
        other: Those of another run.
        kinds: The kind of change of each cell.
    """
    pairs = pairs_of(first, other)
    n_crossing = sum(pair.crosses for pair in pairs)
    side = "lies" if n_crossing == 1 else "lie"
    summary = (
        f"{several(len(pairs), 'cell')} with a margin in both runs; {n_crossing} "
        f"{side} on the other side of the margin."
    )
    if len(pairs) > MOST_DOTS:
        summary += f" The {MOST_DOTS} that moved farthest are drawn."
    return {
        "size": SIZE,
        "left": LEFT,
        "right": SIZE - EDGE,
        "foot": SIZE - FOOT,
        "top": EDGE,
        "margin": (_x(0.0), _y(0.0)),
        "ticks": [(_x(at), _y(at), label) for at, label in TICKS],
        "radius": RADIUS,
        "summary": summary,
        "dots": [_dot(pair, kinds) for pair in pairs[:MOST_DOTS]],
    }


def _dot(pair: Pair, kinds: Mapping[str, ChangeKind]) -> dict[str, Any]:
    row = pair.row
    claim, model, dataset = (plain(row[k], 80) for k in ("claim", "model", "dataset"))
    verdicts = [v.replace("_", " ") for v in (pair.was, row["alone"])]
    return {
        "x": _x(position(pair.first.value)),
        "y": _y(position(pair.other.value)),
        "tone": tone_of(row["alone"]),
        "kind": kinds.get(pair.cell, "same"),
        "model": model,
        "cell": plain(pair.cell, CELL_LIMIT),
        "text": f"{claim} on {model} ({dataset}, {row['n_demonstrations']}): "
        f"{_in_margins(pair.first)} → {_in_margins(pair.other)} margins, "
        f"{verdicts[0]} → {verdicts[1]}",
    }


def _in_margins(excess: Excess) -> str:
    """Write an effect in margins, as the axis does: 1 is the margin itself."""
    return short_number(round(1 + excess.value, 12))


def _share(place: float) -> float:
    return (place - LEAST) / (MOST - LEAST)


def _x(place: float) -> float:
    room = SIZE - LEFT - 3 * EDGE
    return round(LEFT + EDGE + _share(place) * room, 1)


def _y(place: float) -> float:
    room = SIZE - FOOT - 3 * EDGE
    return round(SIZE - FOOT - EDGE - _share(place) * room, 1)
