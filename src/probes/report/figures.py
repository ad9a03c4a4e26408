"""Draw the figures of a paper as SVG and PDF, from the rows alone, and LaTeX tables.

This needs matplotlib, the extra ``figures``. :mod:`probes.report.curves` says which
numbers each figure of curves reads.
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from probes.errors import OptionError, StoreError
from probes.report.curves import PLANS, CurveFigure, Panels, Point, panels_of
from probes.report.forest import forest_of
from probes.report.forest_plot import forest_plot, forest_size
from probes.report.heatmaps import heat_maps, size_of
from probes.report.latex_table import latex_tables
from probes.report.matrix import arrange, split_variant
from probes.report.matrix_plot import matrix_plot, matrix_size
from probes.report.step_maps import STEP_MATCHING, MapFigure, maps_of
from probes.results.reading import complete_row
from probes.results.rows import Row, row_id, write_text

FORMATS = ("svg", "pdf")
COLUMNS = 3
INCHES = (4.6, 2.6)
STYLE: dict[Any, Any] = {"font.size": 8, "pdf.fonttype": 42, "svg.fonttype": "none"}
MARKERS = "os^Dv<>ph*Xd"
"""Colours repeat after ten lines; a colour with its marker does not."""
MOST_LINES = len(MARKERS)
"""Further lines could not be distinguished. They are cut, and the title says so."""
Size = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class DrawnFigures:
    """What was written, and what the rows do not allow.

    Attributes:
        files: The files, in the order of the figures.
        lacking: For each figure that was not drawn, what the run lacks.
    """

    files: Sequence[Path]
    lacking: Mapping[str, str]


def draw_figures(rows: Sequence[Row], folder: Path) -> DrawnFigures:
    """Draw every figure that the rows allow, and write the tables of verdicts.

    Args:
        rows: The rows of a run, at least one.
        folder: Where the figures go.

    Raises:
        OptionError: matplotlib is not installed.
        StoreError: The folder cannot be written.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise OptionError(
            "matplotlib is not installed. Expected it for drawing figures. Install it: "
            "pip install 'icl-gd-probes[figures]'"
        )
    rows = sorted(map(complete_row, rows), key=row_id)
    files: list[Path] = []
    lacking: dict[str, str] = {}
    for name, plan in _planned(rows):
        if isinstance(plan, str):
            lacking[name] = plan
        else:
            files += _draw(name, *plan, folder)
    for name, text in latex_tables(arrange(rows)).items():
        write_text(text, folder / name)
        files.append(folder / name)
    return DrawnFigures(files=files, lacking=lacking)


def _planned(
    rows: Sequence[Row],
) -> Iterator[tuple[str, str | tuple[Size, Callable[[Any], None]]]]:
    """Plan every figure: its name, then its size and what fills it, or what lacks."""
    matrix = arrange(rows)
    forest = forest_of(matrix)
    if forest.lines:
        fill = partial(forest_plot, forest=forest)
        yield "forest", (forest_size(forest), fill)
    else:
        yield "forest", "no judged cell has a margin"
    yield "matrix", (matrix_size(matrix), partial(matrix_plot, matrix=matrix))
    for plan in PLANS:
        panels = panels_of(plan, rows)
        yield plan.name, _curves(plan, panels) if panels else _lack(plan, rows)
    maps = maps_of(rows)
    fill = partial(heat_maps, found=maps)
    lack = _lack(STEP_MATCHING, rows)
    yield STEP_MATCHING.name, (size_of(maps), fill) if maps else lack


def _lack(plan: CurveFigure | MapFigure, rows: Sequence[Row]) -> str:
    claims = " or ".join(plan.claims)
    ran = any(split_variant(row["claim"])[0] in plan.claims for row in rows)
    return (
        f"the rows of {claims} have no such numbers"
        if ran
        else (f"no rows of {claims}")
    )


def _curves(plan: CurveFigure, panels: Panels) -> tuple[Size, Callable[[Any], None]]:
    """Plan a figure of curves: its size, and what fills it."""
    n_rows = math.ceil(len(panels) / COLUMNS)
    n_columns = min(COLUMNS, len(panels))

    def fill(figure: Any) -> None:
        axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
        for axis, (title, lines) in zip(axes, panels.items(), strict=False):
            _panel(axis, plan, title, lines)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()

    return (INCHES[0] * n_columns, INCHES[1] * n_rows), fill


def _draw(
    name: str, size: Size, fill: Callable[[Any], None], folder: Path
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
        # Laid out once for all formats, since that takes most of the time.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
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
    _scale(axis, plan, sorted({p.x for points in lines.values() for p in points}))
    _legend(axis, list(lines)[:MOST_LINES])


def _scale(axis: Any, plan: CurveFigure, places: Sequence[float]) -> None:
    """Put marks at whole numbers; on a logarithmic axis, at powers of 2 or 10."""
    are_whole = all(float(place).is_integer() for place in places)
    if plan.is_log and are_whole:
        axis.set_xscale("log", base=2)
        powers = [2**k for k in range(int(max(places)).bit_length())]
        axis.set_xticks(powers, [str(power) for power in powers])
    elif plan.is_log:
        axis.set_xscale("log")
    elif are_whole:
        axis.set_xticks(places)


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
