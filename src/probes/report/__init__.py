"""Draw the rows of a run: ``matrix.md`` to read, ``index.html`` to look closer.

``summary.md`` is short, for a comment on a pull request.

Everything here is a pure function of rows and of ``run.json``; nothing needs a model.
The terminal's matrix is :func:`probes.report.terminal.matrix_lines`. Rows and run are
written by :mod:`probes.results.rows`.
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
    """Write the three drawings of a run.

    Args:
        rows: Corrected and ordered, see :mod:`probes.results.row_shape`.
        run: What ``run.json`` holds.
        folder: Where ``matrix.md``, ``summary.md`` and ``index.html`` go.

    Raises:
        StoreError: The folder cannot be written.
    """
    write_text(matrix_markdown(rows, run), folder / "matrix.md")
    write_text(short_summary(rows, run), folder / "summary.md")
    write_text(matrix_page(rows, run), folder / "index.html")
