"""Place effects with their intervals on one small axis, for the page of changes.

Pure numbers: a template draws them as SVG attributes, so they contain no text of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probes.report.common_scale import scale_of
from probes.results.comparison import CellResult
from probes.results.rows import Row

WIDTH = 240
EDGE = 8
FAR = 1000.0
"""Positive ends further apart than this are drawn on a logarithmic axis."""
Zone = tuple[float | None, float | None]
NEEDED = {"effects", "alone", "p_supported", "p_refuted"}


@dataclass(frozen=True, kw_only=True)
class Bar:
    """An effect on the axis, in pixels.

    Attributes:
        at: The effect itself.
        low: The left end of the interval; the edge of the axis if it is open.
        high: The right end.
        caps: The closed ends.
    """

    at: float
    low: float
    high: float
    caps: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Span:
    """The effect of each run and the region of support; None for what is missing."""

    bars: tuple[Bar | None, ...]
    zone: tuple[float, float] | None
    is_log: bool


def place_intervals(results: Sequence[CellResult | None], row: Row) -> Span | None:
    """Place the effects of a cell on one axis; None if they cannot share one.

    Args:
        results: The cell in each run; None where a run does not have it.
        row: A row of the cell, which says where the claim is supported.
    """
    drawn = [s for s in results if s is not None and _finite(s.effect)]
    if not drawn or len({s.unit for s in drawn}) > 1:
        return None
    zone = zone_of(row)
    ends = [x for s in drawn for x in (s.effect, s.low, s.high)]
    known = [float(x) for x in (*ends, *zone) if x is not None and math.isfinite(x)]
    is_log = min(known) > 0 and max(known) / min(known) > FAR
    place = _axis(known, is_log=is_log)
    return Span(
        bars=tuple(_bar(result, place) for result in results),
        zone=_zone(zone, place),
        is_log=is_log,
    )


def zone_of(row: Mapping[str, Any]) -> Zone:
    """Return the ends of the region of support; (None, None) if it is not known."""
    if not row.keys() >= NEEDED or not row["effects"]:
        return None, None
    kind, margin = scale_of(dict(row)), row["effects"][0]["margin"]
    if margin is None:
        return None, None
    zones: dict[str, Zone] = {
        "share": (1 - margin, None),
        "below": (None, margin),
        "above": (margin, None),
        "within": (-margin, margin),
    }
    return zones.get(kind, (None, None))


def _finite(x: float | None) -> bool:
    return x is not None and math.isfinite(x)


def _axis(known: list[float], *, is_log: bool) -> Callable[[float], float]:
    """Return the map from values to pixels."""
    bend = math.log10 if is_log else float
    low, high = bend(min(known)), bend(max(known))
    room = (high - low) or 1.0
    left = low if high > low else low - 0.5

    def place(x: float) -> float:
        return round(EDGE + (WIDTH - 2 * EDGE) * (bend(x) - left) / room, 1)

    return place


def _bar(result: CellResult | None, place: Callable[[float], float]) -> Bar | None:
    if result is None or result.effect is None or not _finite(result.effect):
        return None
    ends = [result.low, result.high]
    at = place(result.effect)
    if ends == [None, None]:  # no interval at all
        return Bar(at=at, low=at, high=at, caps=())
    low, high = (None if x is None or not _finite(x) else place(x) for x in ends)
    return Bar(
        at=at,
        low=0.0 if low is None else low,
        high=float(WIDTH) if high is None else high,
        caps=tuple(x for x in (low, high) if x is not None),
    )


def _zone(zone: Zone, place: Callable[[float], float]) -> tuple[float, float] | None:
    low, high = zone
    if low is None and high is None:
        return None
    left = 0.0 if low is None else place(low)
    right = float(WIDTH) if high is None else place(high)
    return left, max(right - left, 0.0)
