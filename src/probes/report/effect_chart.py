"""Draw every claim's effect on one scale, in a lane for each kind of network.

Pure numbers and safe texts: a template draws them as SVG, and the summary as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import Any

from probes.report.claim_lines import ClaimLine, fold_variants, position_of
from probes.report.claim_titles import title_of
from probes.report.common_scale import LEAST, MOST, TICKS, Excess, excess_of, position
from probes.report.deciding_interval import deciding_interval
from probes.report.entry_summary import summarise_entry
from probes.report.headline import JUDGED, models_by_kind
from probes.report.matrix import LETTERS, Matrix, plain
from probes.results.rows import Row

EDGE, FOOT, RADIUS, STEP = 12, 18, 3, 7
MOST_HIGH, FEWEST = 20, 5
"""Levels of dots over all lanes, and the fewest in one."""
APART = 3
"""Pixels between the whiskers of one level."""
CAPTION = (
    "Each claim by its distance in margins, with the verdict, the number of cells, "
    "their median effect and its range. A claim holds if its whole interval "
    "lies left of the line."
)
COLUMNS = 46
"""Letters of the axis in the summary."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The size of a drawing, in pixels, and where its lanes have their names.

    Attributes:
        width: Of all of it.
        left: Where the axis begins.
        name: Height above a lane that its name takes; 0: it stands on the left.
        ticks: Places on the axis with their labels.
    """

    width: int
    left: int
    name: int
    ticks: Sequence[tuple[float, str]]

    def x(self, place: float) -> float:
        """Return the pixel of a place on the axis."""
        share = (place - LEAST) / (MOST - LEAST)
        return round(self.left + EDGE + share * (self.width - self.left - 2 * EDGE), 1)


WIDE = Frame(width=512, left=86, name=0, ticks=TICKS)
NARROW = Frame(
    width=330, left=0, name=16, ticks=[tick for tick in TICKS if tick[1] != "½"]
)
"""For phones: shown at its own size, so that its letters can be read."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The cells of a claim with one verdict, on one kind of network.

    Attributes:
        name: The claim, without a variant.
        title: The claim in plain words.
        place: Their median place on the common scale.
        reach: The ends of their interval there: of several, the medians of the ends.
            None without an interval.
        letter: The verdict's letter.
        effect: Letter, number of cells, median and range, such as ``R6 .11 .09–.2``.
    """

    name: str
    title: str
    place: float
    reach: tuple[float, float] | None
    letter: str
    effect: str


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A mark in the drawing, in pixels; ``reach`` are the ends of its whisker."""

    x: float
    y: float
    reach: tuple[float, float] | None
    mark: Mark


def lanes_of(matrix: Matrix) -> dict[str, list[Mark]]:
    """Place the claims in the lane of each kind of network on which they were judged.

    A claim has up to three marks in a lane, one for each verdict: on constructed
    networks some cells must hold and others must not, and a common median says nothing.
    """
    lines = fold_variants(matrix)
    return {
        kind: sorted(_marks(matrix, lines, models), key=lambda mark: mark.place)
        for kind, models in models_by_kind(matrix).items()
    }


def _marks(
    matrix: Matrix, lines: Sequence[ClaimLine], models: Sequence[str]
) -> Iterator[Mark]:
    for line in lines:
        cells = line.cells(matrix, models)
        for verdict in JUDGED:
            alike = [row for row in cells if row["verdict"] == verdict]
            place = position_of(alike)
            if place is None:
                continue
            summary = summarise_entry(alike)
            count = len(alike) if len(alike) > 1 else ""
            numbers = f"{summary.effect} {summary.spread}".strip()
            yield Mark(
                name=plain(line.name, 80),
                title=title_of(alike[0]),
                place=place,
                reach=_reach(alike),
                letter=LETTERS[verdict],
                effect=f"{LETTERS[verdict]}{count} {numbers}",
            )


def _reach(rows: Sequence[Row]) -> tuple[float, float] | None:
    """Place the ends of the intervals that decide; of several cells, their medians."""
    found = [excess for row in rows if (excess := _deciding_excess(row)) is not None]
    lows = [_end(one.low, LEAST) for one in found]
    highs = [_end(one.high, MOST) for one in found]
    return (median(lows), median(highs)) if found else None


def _deciding_excess(row: Row) -> Excess | None:
    """Measure the interval that decides a cell, in margins; None without one."""
    interval = deciding_interval(row)
    if interval is None:
        return None
    effect = row["effects"][0] | {"low": interval.low, "high": interval.high}
    return excess_of({**row, "effects": [effect]})


def _end(excess: float | None, open_end: float) -> float:
    return open_end if excess is None else position(excess)


def drawn_lanes(matrix: Matrix, frame: Frame = WIDE) -> dict[str, Any]:
    """Return the drawing of the lanes: its size, axis, lanes and dots, in pixels."""
    top, lanes = 4.0, []
    marked = {kind: marks for kind, marks in lanes_of(matrix).items() if marks}
    most_high = max(FEWEST, MOST_HIGH // max(len(marked), 1))
    for kind, marks in marked.items():
        spots = _stacked(marks, frame, most_high)
        height = STEP * (1 + max(level for _, level in spots)) + 4 + frame.name
        base = top + height
        dots = [
            Dot(
                x=x,
                y=round(base - 2 - RADIUS - STEP * level, 1),
                reach=None if mark.reach is None else _whisker(mark.reach, frame),
                mark=mark,
            )
            for (x, level), mark in zip(spots, marks, strict=True)
        ]
        above = top + frame.name - 4 if frame.name else base - 4
        lanes.append(
            {"kind": plain(kind, 40), "base": base, "name": above, "dots": dots}
        )
        top += height + 4
    return {
        "width": frame.width,
        "height": top + FOOT,
        "left": frame.left,
        "foot": top,
        "ticks": [(frame.x(place), label) for place, label in frame.ticks],
        "margin": frame.x(0.0),
        "lanes": lanes,
        "radius": RADIUS,
    }


def _whisker(reach: tuple[float, float], frame: Frame) -> tuple[float, float]:
    low, high = reach
    return frame.x(low), frame.x(high)


def _stacked(
    marks: Sequence[Mark], frame: Frame, most_high: int
) -> list[tuple[float, int]]:
    """Stack marks that would overlap; dots of a full stack go on beside it.

    Args:
        marks: In rising order.
        frame: The size of the drawing.
        most_high: The number of levels.

    Returns:
        For each dot its place and its level, 0 at the bottom. Whiskers share a level
        only where there is no room for their own.
    """
    dots: dict[int, list[float]] = {}
    whiskers: dict[int, list[tuple[float, float]]] = {}
    spots = []
    for mark in marks:
        x, (low, high) = frame.x(mark.place), _extent(mark, frame)
        alone = (
            level
            for level in range(most_high)
            if all(low > b or high < a for a, b in whiskers.get(level, ()))
        )
        level = next(alone, None)
        if level is None:
            by_room = sorted(range(most_high), key=lambda n: _crossed(whiskers[n], x))
            x, level = _beside(x, dots, by_room, right_end=frame.x(MOST))
        dots.setdefault(level, []).append(x)
        whiskers.setdefault(level, []).append((min(low, x), max(high, x)))
        spots.append((x, level))
    return spots


def _extent(mark: Mark, frame: Frame) -> tuple[float, float]:
    """Return the pixels that a mark takes on its level, with room around it."""
    x = frame.x(mark.place)
    low, high = (x, x) if mark.reach is None else _whisker(mark.reach, frame)
    return min(low - APART, x - STEP), max(high + APART, x + STEP)


def _crossed(whiskers: Iterable[tuple[float, float]], x: float) -> int:
    """Count the whiskers of a level that would cross a dot."""
    return sum(low <= x <= high for low, high in whiskers)


def _beside(
    x: float,
    dots: Mapping[int, Sequence[float]],
    levels: Sequence[int],
    *,
    right_end: float,
) -> tuple[float, int]:
    """Find the nearest free spot of a dot; at the right end, to the left."""
    side = -1 if x > right_end - STEP else 1
    for step in count():
        at = round(x + side * STEP * step, 1)
        for level in levels:
            if all(abs(at - other) >= STEP for other in dots.get(level, ())):
                return at, level
    raise AssertionError("count never ends")


def chart_lines(matrix: Matrix) -> list[str]:
    """Draw the chart as text: a line for each claim, grouped by kind of network."""
    lanes = {kind: marks for kind, marks in lanes_of(matrix).items() if marks}
    if not lanes:
        return []
    wide = max(len(mark.name) for marks in lanes.values() for mark in marks)
    lines = []
    for kind, marks in lanes.items():
        lines.append(f"{f'on {plain(kind, 40)} networks':{wide}}  {_axis_text()}")
        claims: dict[str, list[Mark]] = {}
        for mark in marks:
            claims.setdefault(mark.name, []).append(mark)
        lines += [
            f"{name:{wide}}  {_strip(own)}  {', '.join(mark.effect for mark in own)}"
            for name, own in claims.items()
        ]
    return lines


def _column(place: float) -> int:
    return round((place - LEAST) / (MOST - LEAST) * (COLUMNS - 1))


def _strip(marks: Sequence[Mark]) -> str:
    letters = ["·"] * COLUMNS
    letters[_column(0.0)] = "|"
    for mark in marks:
        letters[_column(mark.place)] = mark.letter
    return "".join(letters)


def _axis_text() -> str:
    letters = [" "] * COLUMNS
    for place, label in TICKS:
        at = _column(place)
        if at + len(label) <= COLUMNS:
            letters[at : at + len(label)] = label
    return "".join(letters).rstrip()
