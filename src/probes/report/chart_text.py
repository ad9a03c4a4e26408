"""Draw the chart of effects as text, for the summary of a run."""

from __future__ import annotations

from collections.abc import Sequence

from probes.report.chart_lanes import Mark, lanes_of
from probes.report.common_scale import LEAST, MOST, TICKS
from probes.report.matrix import Matrix, plain

CAPTION = (
    "Each claim by its distance in margins, with the verdict, the number of cells, "
    "their median effect and its range. A claim holds if its whole interval "
    "lies left of the line."
)
COLUMNS = 46
"""Letters of the axis in the summary."""


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
