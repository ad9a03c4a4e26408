"""Draw every claim's effect on one scale, in a lane for each kind of network.

Pure numbers and safe texts: a template draws them as SVG, and the summary as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from probes.report.claim_lines import ClaimLine, fold_variants, position_of
from probes.report.common_scale import LEAST, MOST, TICKS
from probes.report.entry_summary import summarise_entry
from probes.report.headline import JUDGED, models_by_kind
from probes.report.matrix import LETTERS, Matrix, plain

LEFT, WIDTH, EDGE = 92, 560, 12
RADIUS, STEP, MOST_HIGH = 4, 9, 4
FOOT = 18
CAPTION = (
    "Each claim by its distance in margins, with the verdict, the number of cells, "
    "their median effect and its range. A claim holds if its whole interval "
    "lies left of the line."
)
COLUMNS = 46
"""Letters of the axis in the summary."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The cells of a claim with one verdict, on one kind of network.

    Attributes:
        name: The claim, without a variant.
        place: Their median place on the common scale.
        letter: The verdict's letter.
        effect: Letter, number of cells, median and range, such as ``R6 .11 .09–.2``.
    """

    name: str
    place: float
    letter: str
    effect: str


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A mark in the drawing, in pixels."""

    x: float
    y: float
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
                place=place,
                letter=LETTERS[verdict],
                effect=f"{LETTERS[verdict]}{count} {numbers}",
            )


def drawn_lanes(matrix: Matrix) -> dict[str, Any]:
    """Return the drawing of the lanes: its size, axis, lanes and dots, in pixels."""
    top, lanes = 4.0, []
    for kind, marks in lanes_of(matrix).items():
        if not marks:
            continue
        spots = _stacked([_x(mark.place) for mark in marks])
        height = STEP * (1 + max(level for _, level in spots)) + 4
        dots = [
            Dot(x=x, y=round(top + height - 2 - RADIUS - STEP * level, 1), mark=mark)
            for (x, level), mark in zip(spots, marks, strict=True)
        ]
        lanes.append({"kind": plain(kind, 40), "base": top + height, "dots": dots})
        top += height + 4
    return {
        "width": WIDTH,
        "height": top + FOOT,
        "left": LEFT,
        "foot": top,
        "ticks": [(_x(place), label) for place, label in TICKS],
        "margin": _x(0.0),
        "lanes": lanes,
        "radius": RADIUS,
    }


def _x(place: float) -> float:
    share = (place - LEAST) / (MOST - LEAST)
    return round(LEFT + EDGE + share * (WIDTH - LEFT - 2 * EDGE), 1)


def _stacked(places: Sequence[float]) -> list[tuple[float, int]]:
    """Stack dots that would overlap; a full stack goes on beside itself.

    Args:
        places: In rising order, in pixels.

    Returns:
        For each dot its place and its level, 0 at the bottom.
    """
    taken: dict[int, list[float]] = {}
    spots = []
    for x in places:
        # Dots at the right end go on to the left, so that they stay in the drawing.
        side = -1 if x > _x(MOST) - STEP else 1
        for step in range(1000):
            at = round(x + side * STEP * step, 1)
            level = next(
                (
                    n
                    for n in range(MOST_HIGH)
                    if all(abs(at - other) >= STEP for other in taken.get(n, ()))
                ),
                None,
            )
            if level is not None:
                taken.setdefault(level, []).append(at)
                spots.append((at, level))
                break
    return spots


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
