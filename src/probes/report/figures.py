"""Draw the figures of a paper as SVG and PDF, from the rows alone.

This needs matplotlib, the extra ``figures``. :mod:`probes.report.curves` says which
effects each figure reads.
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from probes.errors import OptionError, StoreError
from probes.report.curves import PLANS, CurveFigure, Panels, Point, panels_of
from probes.report.heatmaps import heat_maps, size_of
from probes.report.step_maps import STEP_MATCHING, MapFigure, maps_of
from probes.results.rows import Row

FORMATS = ("svg", "pdf")
COLUMNS = 3
INCHES = (4.6, 2.6)
STYLE: dict[Any, Any] = {"font.size": 8, "pdf.fonttype": 42, "svg.fonttype": "none"}
MARKERS = "os^Dv<>ph*Xd"
"""Colours repeat after ten lines; a colour with its marker does not."""
MOST_LINES = len(MARKERS)
"""Further lines could not be distinguished. They are cut, and the title says so."""


def draw_figures(
    rows: Sequence[Row], folder: Path
) -> tuple[list[Path], list[CurveFigure | MapFigure]]:
    """Draw every figure that the rows allow.

    Args:
        rows: The rows of a run.
        folder: Where the figures go.

    Returns:
        The files, and the figures for which there are no rows.

    Raises:
        OptionError: matplotlib is not installed, or no figure can be drawn.
        StoreError: The folder cannot be written.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise OptionError(
            "matplotlib is not installed. Expected it for drawing figures. Install it: "
            "pip install 'icl-gd-probes[figures]'"
        )
    found = {plan: panels_of(plan, rows) for plan in PLANS}
    maps = maps_of(rows)
    if not (any(found.values()) or maps):
        plans = (*PLANS, STEP_MATCHING)
        claims = ", ".join(name for plan in plans for name in plan.claims)
        raise OptionError(
            f"None of the {len(rows)} rows can be drawn. Expected rows of one "
            f"of: {claims}. Run one of these claims and pass its results.jsonl."
        )
    drawn = [path for plan in PLANS for path in _curves(plan, found[plan], folder)]
    lacking: list[CurveFigure | MapFigure] = [plan for plan in PLANS if not found[plan]]
    if maps:
        fill = partial(heat_maps, found=maps)
        drawn += _draw(STEP_MATCHING.name, size_of(maps), fill, folder)
    return drawn, lacking if maps else [*lacking, STEP_MATCHING]


def _curves(plan: CurveFigure, panels: Panels, folder: Path) -> list[Path]:
    """Draw a figure of curves into its files; none without panels."""
    if not panels:
        return []
    n_rows = math.ceil(len(panels) / COLUMNS)
    n_columns = min(COLUMNS, len(panels))

    def fill(figure: Any) -> None:
        axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
        for axis, (title, lines) in zip(axes, panels.items(), strict=False):
            _panel(axis, plan, title, lines)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()

    size = (INCHES[0] * n_columns, INCHES[1] * n_rows)
    return _draw(plan.name, size, fill, folder)


def _draw(
    name: str, size: tuple[float, float], fill: Callable[[Any], None], folder: Path
) -> list[Path]:
    """Draw one figure into its files."""
    import matplotlib as mpl
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    files = [folder / f"{name}.{kind}" for kind in FORMATS]
    # The salt and the missing date make the same rows the same file.
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}), _quiet():
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasPdf(figure)
        fill(figure)
        for path in files:
            _save(figure, path)
    return files


def _quiet() -> warnings.catch_warnings:
    # A name in letters that the font lacks shows as boxes; that stops no figure.
    return warnings.catch_warnings(action="ignore", category=UserWarning)


def _panel(
    axis: Any, plan: CurveFigure, title: str, lines: dict[str, list[Point]]
) -> None:
    for marker, (name, points) in zip(MARKERS, lines.items(), strict=False):
        x, y = [p.x for p in points], [p.value for p in points]
        style = "--" if name.startswith(("floor", "ceiling", "base")) else "-"
        (line,) = axis.plot(x, y, style, marker=marker, markersize=3, linewidth=1)
        low = [p.value if p.low is None else p.low for p in points]
        high = [p.value if p.high is None else p.high for p in points]
        axis.fill_between(x, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    n_cut = max(0, len(lines) - MOST_LINES)
    cut = f" ({n_cut} lines not shown)" if n_cut else ""
    for text, write in (
        (title + cut, axis.set_title),
        (plan.x, axis.set_xlabel),
        (plan.y, axis.set_ylabel),
    ):
        write(text, fontsize=8).set_parse_math(False)
    if plan.is_log:
        axis.set_xscale("log")
    else:
        axis.set_xticks(sorted({p.x for points in lines.values() for p in points}))
    _legend(axis, list(lines)[:MOST_LINES])


def _legend(axis: Any, names: Sequence[str]) -> None:
    """Name the lines; texts are set later, since a label may look like markup."""
    drawn = axis.legend(
        axis.lines,
        [str(i) for i, _ in enumerate(names)],
        fontsize=6,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),  # next to the curves, never over them
    )
    for text, name in zip(drawn.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)


def _save(figure: Any, path: Path) -> None:
    kind = path.suffix.removeprefix(".")
    undated = {"Date": None} if kind == "svg" else {"CreationDate": None}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format=kind, metadata=undated)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror or error}. Expected a folder "
            f"of yours with room. Pass another folder."
        ) from error
