"""Read how order sensitivity goes over passes in one cell, and say it in words.

The page draws it in the cell's panel; :mod:`probes.report.figures` draws the same
points for a paper. Both read them with ``over_passes_recorded`` of
:mod:`probes.report.curve_readers`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probes.report.curve_readers import over_passes_recorded
from probes.report.matrix import plain
from probes.report.measure_ranges import interval_of
from probes.report.number_text import short_interval, short_number
from probes.results.rows import Row

MEASURE = "order sensitivity"
LEAST_POINTS = 2
"""One value is no curve; ICL has the same beside every number of passes."""
_read = over_passes_recorded(MEASURE)


@dataclass(frozen=True, kw_only=True)
class PassCurve:
    """One line: a learner after each number of passes, or ICL, which has none.

    Attributes:
        name: The variant of the claim, or ICL with its number of orders.
        points: Numbers of passes, rising, each with the index of its effect in the row.
    """

    name: str
    points: Sequence[tuple[int, int]]


def pass_curves(row: Row) -> list[PassCurve]:
    """Return the curves of order sensitivity over passes; empty if there are none.

    Args:
        row: A row, see :mod:`probes.results.row_shape`.
    """
    places = {id(effect): i for i, effect in enumerate(row["effects"])}
    found: dict[str, list[tuple[int, int]]] = {}
    for name, passes, effect in _read(row):
        if effect["value"] is not None and math.isfinite(effect["value"]):
            own = found.setdefault(plain(name, 80), [])
            own.append((int(passes), places[id(effect)]))
    measured = ({i for _, i in points} for points in found.values())
    if not any(len(own) >= LEAST_POINTS for own in measured):
        return []
    return [PassCurve(name=k, points=sorted(v)) for k, v in found.items()]


def pass_curves_in_words(row: Row) -> str:
    """Say where each curve begins and ends, with intervals; empty without curves."""
    said = [_in_words(curve, row["effects"]) for curve in pass_curves(row)]
    return f"{'; '.join(said)}." if said else ""


def _in_words(curve: PassCurve, effects: Sequence[Mapping[str, Any]]) -> str:
    first, last = curve.points[0], curve.points[-1]
    if first[1] == last[1]:  # ICL: the same number beside every number of passes
        return f"{curve.name}: {_value(effects[first[1]])}"
    ends = (f"{_value(effects[i])} after {_passes(n)}" for n, i in (first, last))
    return f"{curve.name}: {', '.join(ends)}"


def _passes(n: int) -> str:
    return f"{n} pass{'es' if n > 1 else ''}"


def _value(effect: Mapping[str, Any]) -> str:
    said, (low, high) = short_number(effect["value"]), interval_of(effect)
    return said if low is high is None else f"{said} {short_interval(low, high)}"
