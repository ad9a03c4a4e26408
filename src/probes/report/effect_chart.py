"""Draw every claim's effect on one scale, in lanes of networks or kinds of network.

Pure numbers and safe texts: a template draws them as SVG.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from probes.report.chart_lanes import Mark, lanes_of_networks, lanes_with_names
from probes.report.common_scale import LEAST, MOST, TICKS
from probes.report.lane_packing import (
    STEP,
    Extent,
    Spot,
    pack_rows,
    rows_of_whiskers,
    share_rows,
)
from probes.report.matrix import Matrix, plain

EDGE, FOOT, RADIUS = 12, 18, 3
PITCH = 4
"""Pixels between the rows of a lane, at least; where there is room, ``STEP``."""
MOST_ROWS, FEWEST = 32, 6
"""Rows of all lanes on the first screen, and the least that a lane may have."""
NO_LIMIT = 10**6
"""Rows of a chart in which no whisker crosses another."""
LEAST_HIGH = 15
"""The least height of a lane in pixels, so that its name fits."""
LETTER = 7
"""Pixels of a letter, roughly."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The size of a drawing, in pixels, and where its lanes have their names.

    Attributes:
        width: Of all of it.
        left: The most that names on the left may take; 0: they stand above the lanes.
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

    def with_names(self, names: Sequence[str]) -> Frame:
        """Return the frame with no more room on the left than the names need."""
        longest = max(map(len, names), default=0)
        return replace(self, left=min(self.left, LETTER * longest + 14))

    def fit(self, name: str) -> str:
        """Shorten a name in its middle, since networks often differ at the end."""
        most = (self.left or self.width) // LETTER - 1
        if len(name) <= most:
            return name
        return f"{name[: most - 1 - most // 2]}…{name[-(most // 2) :]}"


WIDE = Frame(width=580, left=160, name=0, ticks=TICKS)
NARROW = Frame(
    width=330, left=0, name=16, ticks=[tick for tick in TICKS if tick[1] != "½"]
)
"""For phones: shown at its own size, so that its letters can be read."""
FRAMES = {"wide": WIDE, "narrow": NARROW}


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A mark in the drawing, in pixels.

    Attributes:
        x: Its middle.
        y: Its height.
        reach: The ends of its whisker; None without one.
        is_crowded: Whether its whisker would cross others, so that it is drawn only
            when the dot is pointed at.
        mark: What it shows.
    """

    x: float
    y: float
    reach: tuple[float, float] | None
    is_crowded: bool
    mark: Mark


def drawn_charts(matrix: Matrix) -> dict[str, Any]:
    """Draw the chart for both widths.

    Returns:
        ``charts``: those of the first screen; ``all_charts``: with a lane for each
        network, empty if the first ones have that; ``n_networks``: how many lanes.
    """
    lanes, networks = lanes_with_names(matrix), lanes_of_networks(matrix)
    charts = {size: drawn_lanes(lanes, frame) for size, frame in FRAMES.items()}
    all_charts = {
        size: drawn_lanes(networks, frame, most_rows=NO_LIMIT)
        for size, frame in FRAMES.items()
        if [*lanes] != [*networks]
    }
    return {"charts": charts, "all_charts": all_charts, "n_networks": len(networks)}


def drawn_lanes(
    lanes: Mapping[str, Sequence[Mark]],
    frame: Frame = WIDE,
    *,
    most_rows: int = MOST_ROWS,
) -> dict[str, Any]:
    """Return the drawing of the lanes: its size, axis, lanes and dots, in pixels.

    Args:
        lanes: The marks of each lane; those without marks are left out.
        frame: The size of the drawing.
        most_rows: The rows of all lanes. With too few, whiskers share rows.
    """
    marked = {plain(name, 80): marks for name, marks in lanes.items() if marks}
    frame = frame.with_names([*marked])
    wanted = [_wanted(marks, frame) for marks in marked.values()]
    shares = share_rows(wanted, most_rows, FEWEST)
    pitch = min(max(PITCH * MOST_ROWS // max(sum(shares), 1), PITCH), STEP)
    top, drawn = 4.0, []
    for (name, marks), share in zip(marked.items(), shares, strict=True):
        lane = _lane(name, marks, _spots(marks, frame, share), frame, top, pitch)
        drawn.append(lane)
        top = lane["base"] + 4
    return {
        "width": frame.width,
        "height": top + FOOT,
        "left": frame.left,
        "foot": top,
        "ticks": [(frame.x(place), label) for place, label in frame.ticks],
        "margin": frame.x(0.0),
        "lanes": drawn,
        "radius": RADIUS,
    }


def _lane(
    name: str,
    marks: Sequence[Mark],
    spots: Sequence[Spot],
    frame: Frame,
    top: float,
    pitch: int,
) -> dict[str, Any]:
    """Return a lane: its name with the height of its letters, its foot, its dots."""
    high = max(pitch * (_rows(spots) - 1) + 2 * RADIUS + 5, LEAST_HIGH)
    base = top + frame.name + high
    dots = [
        Dot(
            x=spot.x,
            y=round(base - 3 - RADIUS - pitch * spot.row, 1),
            reach=None if mark.reach is None else _whisker(mark.reach, frame),
            is_crowded=spot.is_crowded,
            mark=mark,
        )
        for spot, mark in zip(spots, marks, strict=True)
    ]
    at = top + frame.name - 4 if frame.name else round(base - high / 2 + 4, 1)
    return {
        "name": name,
        "label": frame.fit(name),
        "at": at,
        "base": base,
        "dots": dots,
    }


def _wanted(marks: Sequence[Mark], frame: Frame) -> int:
    """Count the rows that a lane would take; dots alone ask for the fewest."""
    extents = [_extent(mark, frame) for mark in marks]
    rows = rows_of_whiskers(extents, right_end=frame.x(MOST))
    return max(rows, min(_rows(_spots(marks, frame, FEWEST)), FEWEST))


def _rows(spots: Sequence[Spot]) -> int:
    return 1 + max(spot.row for spot in spots)


def _spots(marks: Sequence[Mark], frame: Frame, most: int) -> list[Spot]:
    extents = [_extent(mark, frame) for mark in marks]
    return pack_rows(extents, most=most, right_end=frame.x(MOST))


def _extent(mark: Mark, frame: Frame) -> Extent:
    """Return the pixels that a mark takes on its row, with room around its dot."""
    x = frame.x(mark.place)
    low, high = (x, x) if mark.reach is None else _whisker(mark.reach, frame)
    half = STEP / 2
    return Extent(x=x, low=min(low, x - half), high=max(high, x + half))


def _whisker(reach: tuple[float, float], frame: Frame) -> tuple[float, float]:
    low, high = reach
    return frame.x(low), frame.x(high)
