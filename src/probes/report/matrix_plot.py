"""Draw the matrix of verdicts. It needs matplotlib; only ``figures`` calls it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from probes.report.claim_lines import ClaimLine, lines_by_kind
from probes.report.entry_summary import EntrySummary, summarise_entry
from probes.report.matrix import IDENTITY, LETTERS, Matrix, plain

LINE, HEAD, NAMES, COLUMN = 0.17, 1.5, 2.8, 0.78
"""Inches: the height of a claim and of the head, the width of the names, of a model."""
FILLS = {
    "supported": "#cdebd7",
    "refuted": "#fbd5ce",
    "inconclusive": "#fbe9b0",
    "not_applicable": "#ffffff",
    "error": "#e0b8f0",
}
MIXED = "#f6f8fa"
"""Behind entries whose cells have different verdicts; their letters name them."""
MOST_LETTERS = 14
"""Letters for which an entry has room."""


def shown_lines(matrix: Matrix) -> list[ClaimLine]:
    """List the claims in the order in which the page first shows them."""
    return [line for group in lines_by_kind(matrix).values() for line in group]


def matrix_size(matrix: Matrix) -> tuple[float, float]:
    """Return the width and height of the figure, in inches."""
    height = HEAD + LINE * len(shown_lines(matrix))
    return NAMES + COLUMN * len(matrix.models), height


def matrix_plot(figure: Any, matrix: Matrix) -> None:
    """Fill a figure: one line for each claim, one column for each model."""
    lines, models = shown_lines(matrix), list(matrix.models)
    axis = figure.subplots()
    axis.set_xlim(0, len(models))
    axis.set_ylim(len(lines), 0)
    for spine in axis.spines.values():
        spine.set_visible(False)
    for y, line in enumerate(lines):
        for x, model in enumerate(models):
            _entry(axis, x, y, summarise_entry(line.cells(matrix, [model])))
    _names(axis, matrix, lines)
    _kinds(axis, matrix)
    legend = ", ".join(f"{letter} {v}" for v, letter in LETTERS.items())
    figure.supxlabel(
        f"{legend.replace('_', ' ')}; the number is the effect, or the median of "
        f"several cells",
        fontsize=6.5,
    )


def _entry(axis: Any, x: int, y: int, summary: EntrySummary) -> None:
    if not summary.letters:
        return
    (verdict, _), *others = summary.letters
    box = (x + 0.03, y + 0.06), 0.94, 0.88
    axis.add_patch(_rectangle(*box, color=MIXED if others else FILLS[verdict]))
    text = summary.short
    size = 5.5 if len(text) <= MOST_LETTERS else 4
    axis.text(x + 0.07, y + 0.55, text, fontsize=size, va="center", parse_math=False)


def _rectangle(at: tuple[float, float], w: float, h: float, *, color: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(at, w, h, facecolor=color, linewidth=0)


def _names(axis: Any, matrix: Matrix, lines: Sequence[ClaimLine]) -> None:
    names = [
        f"{IDENTITY} {plain(line.name, 60)}"
        if matrix.claims[line.claims[0]].get("identity")
        else plain(line.name, 60)
        for line in lines
    ]
    at = [y + 0.5 for y in range(len(lines))]
    axis.set_yticks(at, names, fontsize=6, family="monospace")
    heads = [plain(model, 40) for model in matrix.models]
    axis.set_xticks([x + 0.5 for x in range(len(heads))], heads, fontsize=6)
    axis.tick_params(length=0, top=True, labeltop=True, labelbottom=False)
    for label in axis.get_xticklabels():
        label.set(rotation=35, ha="left", rotation_mode="anchor")
    for label in [*axis.get_xticklabels(), *axis.get_yticklabels()]:
        label.set_parse_math(False)


def _kinds(axis: Any, matrix: Matrix) -> None:
    """Divide the kinds of network by lines, and name each below its columns."""
    x = 0
    bottom = axis.get_ylim()[0]
    for kind, own in groupby(matrix.models.values()):
        n = len([*own])
        axis.text(
            *(x + n / 2, bottom + 0.7, plain(kind, 40)),
            ha="center",
            fontsize=6.5,
            parse_math=False,
        )
        x += n
        if x < len(matrix.models):
            axis.axvline(x, color="#57606a", linewidth=0.6)
