"""Draw step-matching maps: colours for distances, a line for the nearest steps.

This needs matplotlib. Only :mod:`probes.report.figures` calls it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from probes.report.step_maps import StepMap, least_positive

INCHES = (3.2, 2.3)
MOST_TICKS = 10
FLOOR = 1e-16
"""Smaller distances are rounding errors, so they share one colour."""


def heat_maps(figure: Any, found: Mapping[str, Sequence[StepMap]]) -> None:
    """Fill a figure: one line of panels for each cell, one panel for each algorithm.

    The panels of a line share their colours, so that algorithms can be compared.
    """
    n_columns = max(len(maps) for maps in found.values())
    axes = figure.subplots(len(found), n_columns, squeeze=False)
    for line, maps in zip(axes, found.values(), strict=True):
        for axis in line[len(maps) :]:
            axis.set_axis_off()
        low, high = _ends(maps)
        for axis, one in zip(line, maps, strict=False):
            image = _panel(axis, one, low, high)
        bar = figure.colorbar(image, ax=line[len(maps) - 1])
        bar.ax.tick_params(which="both", labelsize=6)
        exact = f"; 0 as {low:.1g}" if _has_zero(maps) else ""
        bar.set_label(f"distance ({maps[0].unit}){exact}", fontsize=7)
        bar.ax.yaxis.label.set_parse_math(False)


def _has_zero(maps: Sequence[StepMap]) -> bool:
    return any(x == 0 for one in maps for row in one.distances for x in row)


def _ends(maps: Sequence[StepMap]) -> tuple[float, float]:
    """Return the ends of the colour scale; 0 is drawn a decade below the rest."""
    least = least_positive(maps)
    low = max(least / 10 if _has_zero(maps) else least, FLOOR)
    return low, max(max(x for one in maps for r in one.distances for x in r), 10 * low)


def size_of(found: Mapping[str, Sequence[StepMap]]) -> tuple[float, float]:
    """Return the width and height of the figure, in inches."""
    n_columns = max(len(maps) for maps in found.values())
    return INCHES[0] * n_columns, INCHES[1] * len(found)


def _panel(axis: Any, one: StepMap, low: float, high: float) -> Any:
    from matplotlib.colors import LogNorm

    lifted = [[max(x, low) for x in row] for row in one.distances]
    image = axis.imshow(
        lifted,
        norm=LogNorm(vmin=low, vmax=high, clip=True),
        cmap="viridis_r",
        aspect="auto",
        origin="lower",
    )
    _line(axis, one)
    for numbers, set_ticks in (
        (one.steps, axis.set_xticks),
        (one.layers, axis.set_yticks),
    ):
        every = -(-len(numbers) // MOST_TICKS)
        at = range(0, len(numbers), every)
        set_ticks(list(at), [f"{numbers[i]:g}" for i in at], fontsize=6)
    for text, write in (
        (one.title, axis.set_title),
        (f"steps of {one.algorithm}", axis.set_xlabel),
        ("layer", axis.set_ylabel),
    ):
        write(text, fontsize=7).set_parse_math(False)
    return image


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
    """Place a number of steps among the columns, or between two of them."""
    right = min(max(bisect_left(steps, value), 1), len(steps) - 1) if steps[1:] else 0
    if right == 0:
        return 0.0
    left = right - 1
    share = (value - steps[left]) / (steps[right] - steps[left])
    return left + min(max(share, 0.0), 1.0)
