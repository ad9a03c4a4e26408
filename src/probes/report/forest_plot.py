"""Draw the forest of all claims. It needs matplotlib; only ``figures`` calls it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from probes.report.common_scale import LEAST, MOST, TICKS
from probes.report.forest import Forest, ForestMark
from probes.report.matrix import LETTERS, plain

LINE, HEAD, NAMES, PANEL = 0.19, 1.1, 2.6, 2.3
"""Inches: the height of a claim and of the rest, the width of the names and a panel."""
COLOURS = {"supported": "#0b6b32", "refuted": "#a3231a", "inconclusive": "#8a6a00"}
MARKERS = {"supported": "o", "refuted": "s", "inconclusive": "^"}
OFFSETS = {"supported": -0.27, "inconclusive": 0.0, "refuted": 0.27}
"""Where a claim has several verdicts, their marks stand one below the other."""
ZONE = "#e3f3e9"
LEFT, RIGHT = LEAST - 0.15, MOST + 0.75
"""The ends of a panel; there is room for a count beside the last mark."""
CAPTION = (
    "distance from the margin: left of the line the claim holds; 0 is no difference, "
    "or the ceiling"
)


def forest_size(forest: Forest) -> tuple[float, float]:
    """Return the width and height of the figure, in inches."""
    width = NAMES + PANEL * max(1, len(forest.kinds))
    return width, HEAD + LINE * max(1, len(forest.lines))


def forest_plot(figure: Any, forest: Forest) -> None:
    """Fill a figure: one panel for each kind of network, one line for each claim.

    A mark is the median of a claim's cells with one verdict. The thick line is the
    range of their effects, the thin line that of their intervals.
    """
    axes = figure.subplots(1, len(forest.kinds), sharey=True, squeeze=False)[0]
    for axis, kind in zip(axes, forest.kinds, strict=True):
        _background(axis, plain(kind, 40), len(forest.lines))
        for y, marks in enumerate(forest.lines.values()):
            _line(axis, y, marks[kind])
    names = [plain(name, 60) for name in forest.lines]
    axes[0].set_yticks(range(len(names)), names, fontsize=6.5, family="monospace")
    for label in axes[0].get_yticklabels():
        label.set_parse_math(False)
    figure.supxlabel(CAPTION, fontsize=7)
    _legend(figure, forest)


def _background(axis: Any, title: str, n_lines: int) -> None:
    axis.set_xlim(LEFT, RIGHT)
    axis.set_ylim(n_lines - 0.4, -0.6)
    axis.axvspan(LEFT, 0, color=ZONE, linewidth=0, zorder=0)
    axis.axvline(0, color="#57606a", linewidth=0.8, zorder=1)
    ticks = {at: text for at, text in TICKS if text != "½"}  # too near to "margin"
    axis.set_xticks([*ticks], [*ticks.values()], fontsize=6)
    axis.tick_params(axis="y", length=0)
    axis.hlines(range(n_lines), LEFT, RIGHT, color="#e4e7eb", lw=0.4)
    axis.set_title(f"{title} networks", fontsize=8).set_parse_math(False)


def _line(axis: Any, y: int, marks: Sequence[ForestMark]) -> None:
    for mark in marks:
        at = y + (OFFSETS[mark.verdict] if len(marks) > 1 else 0)
        color = COLOURS[mark.verdict]
        axis.hlines(at, *mark.reach, color=color, linewidth=0.6, zorder=2)
        axis.hlines(at, *mark.effects, color=color, linewidth=2, zorder=3)
        axis.plot(mark.at, at, MARKERS[mark.verdict], color=color, ms=3.6, zorder=4)
        if mark.count > 1:
            axis.annotate(
                str(mark.count),
                (mark.at, at),
                xytext=(3, 1.5),
                textcoords="offset points",
                fontsize=4.5,
                color=color,
                zorder=5,
            )


def _legend(figure: Any, forest: Forest) -> None:
    from matplotlib.lines import Line2D

    seen = {
        mark.verdict
        for line in forest.lines.values()
        for marks in line.values()
        for mark in marks
    }
    handles = [
        Line2D([], [], color=COLOURS[v], marker=MARKERS[v], ms=3.6, label=v)
        for v in LETTERS
        if v in seen
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=3, fontsize=7)
