"""Draw the rows of a run, for people to read.

| module | what is inside |
| --- | --- |
| ``matrix``, ``claim_lines`` | what all drawings share: letters, the grouping |
| ``number_text``, ``measure_ranges`` | numbers in few letters, and within their range |
| ``claim_titles`` | plain names |
| ``measured_quantity`` | what a number is, and which numbers support a claim |
| ``common_scale``, ``deciding_interval`` | effects in margins, and what decides |
| ``verdict_words``, ``advice`` | a verdict in words, and what would decide it |
| ``answer``, ``headline`` | the answer of a run, and how many claims hold |
| ``effect_chart``, ``chart_text`` | every claim on one scale |
| ``chart_lanes``, ``lane_packing`` | what is in a lane of that chart, and where |
| ``entry_summary`` | the short text of an entry of the matrix |
| ``appendix`` | reasons, rows of the datasets, the comparison, the speed |
| ``rerun`` | the command that judges a cell again |
| ``terminal``, ``terminal_matrix``, ``terminal_text`` | the end of a run |
| ``markdown``, ``short_summary`` | ``matrix.md`` and ``summary.md`` |
| ``page``, ``page_data`` | ``index.html`` and the rows inside it |
| ``changes``, ``change_lines`` | ``changes.html``: what changed between runs |
| ``interval_axis``, ``effect_scatter`` | its pictures |
| ``figures``, ``latex_table`` | pictures and tables for papers |
| ``forest``, ``forest_plot``, ``matrix_plot`` | all claims in one picture |
| ``curves``, ``curve_readers`` | curves of a claim's rows |
| ``step_maps``, ``heatmaps`` | maps of layers against steps |

Everything here is a pure function of rows and of ``run.json``; nothing needs a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from probes.report.markdown import matrix_markdown
from probes.report.page import matrix_page
from probes.report.short_summary import short_summary
from probes.results.rows import Row, write_text


def write_report(rows: Sequence[Row], run: Mapping[str, Any], folder: Path) -> None:
    """Write ``matrix.md``, ``summary.md`` and ``index.html``.

    Args:
        rows: Corrected and ordered rows, see :mod:`probes.results.row_shape`.
        run: The content of ``run.json``.
        folder: The folder that the files go to.

    Raises:
        StoreError: The folder cannot be written.
    """
    write_text(matrix_markdown(rows, run), folder / "matrix.md")
    write_text(short_summary(rows, run), folder / "summary.md")
    write_text(matrix_page(rows, run), folder / "index.html")
