"""Draw step-matching maps: colours for distances, a line for the nearest steps.

Needs matplotlib; called by :mod:`probes.report.figures` alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from probes.report.maps import StepMap, least_positive

INCHES = (3.2, 2.3)
MOST_TICKS = 10
FLOOR = 1e-16
"""Distances below rounding are drawn as one: their order says nothing."""


def heat_maps(figure: Any, found: Mapping[str, Sequence[StepMap]]) -> None:
    """Fill a figure: a line of panels for each cell, a panel for each algorithm."""
    n_columns = max(len(maps) for maps in found.values())
    axes = figure.subplots(len(found), n_columns, squeeze=False)
    for line, maps in zip(axes, found.values(), strict=True):
        for axis in line[len(maps) :]:
            axis.set_axis_off()
        for axis, one in zip(line, maps, strict=False):
            _panel(figure, axis, one)


def size_of(found: Mapping[str, Sequence[StepMap]]) -> tuple[float, float]:
    """Return the width and height of the figure, in inches."""
    n_columns = max(len(maps) for maps in found.values())
    return INCHES[0] * n_columns, INCHES[1] * len(found)


def _panel(figure: Any, axis: Any, one: StepMap) -> None:
    from matplotlib.colors import LogNorm

    low = max(least_positive([one]), FLOOR)
    high = max((x for row in one.distances for x in row), default=low)
    norm = LogNorm(vmin=low, vmax=max(high, 10 * low), clip=True)
    lifted = [[max(x, low) for x in row] for row in one.distances]
    image = axis.imshow(
        lifted, norm=norm, cmap="viridis_r", aspect="auto", origin="lower"
    )
    bar = figure.colorbar(image, ax=axis)
    bar.ax.tick_params(labelsize=6)
    _line(axis, one)
    for numbers, set_ticks in (
        (one.steps, axis.set_xticks),
        (one.layers, axis.set_yticks),
    ):
        every = -(-len(numbers) // MOST_TICKS)
        at = range(0, len(numbers), every)
        set_ticks(list(at), [f"{numbers[i]:g}" for i in at], fontsize=6)
    _told(axis, one, bar)


def _line(axis: Any, one: StepMap) -> None:
    """Draw the nearest number of steps of each layer, with its interval."""
    if not one.best:
        return
    y = range(len(one.best))
    at, low, high = (
        [_place(one.steps, getattr(best, part)) for best in one.best]
        for part in ("steps", "low", "high")
    )
    # Drawn twice: a dark line within a light one shows on every colour.
    for color, width, size in (("white", 3.0, 5.0), ("black", 1.2, 3.0)):
        axis.hlines(y, low, high, color=color, linewidth=width)
        axis.plot(at, y, "o", color=color, markersize=size)


def _place(steps: Sequence[float], value: float) -> float:
    """Place a number of steps among the columns, between two where it is none."""
    right = min(max(bisect_left(steps, value), 1), len(steps) - 1) if steps[1:] else 0
    if right == 0:
        return 0.0
    left = right - 1
    share = (value - steps[left]) / (steps[right] - steps[left])
    return left + min(max(share, 0.0), 1.0)


def _told(axis: Any, one: StepMap, bar: Any) -> None:
    for text, write in (
        (one.title, axis.set_title),
        (f"steps of {one.algorithm}", axis.set_xlabel),
        ("layer", axis.set_ylabel),
        (f"distance ({one.unit})", bar.set_label),
    ):
        write(text, fontsize=7)
    for text in (axis.title, axis.xaxis.label, bar.ax.yaxis.label):
        text.set_parse_math(False)
