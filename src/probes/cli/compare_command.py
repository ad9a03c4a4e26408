"""Compare the results of two runs, cell by cell.

Exit status: 1 if a verdict became its opposite or a cell was lost, 4 if a file cannot
be read or written, and otherwise 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from probes.report.changes import RunComparison, changes_page
from probes.report.matrix import plain
from probes.results.comparison import (
    CHANGE_KINDS,
    GRAVE,
    LINE_LIMIT,
    CellResult,
    Change,
    compare_cells,
    comparison_lines,
)
from probes.results.reading import read_results
from probes.results.record import differences
from probes.results.rows import row_id, write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``probes compare``."""
    width = max(map(len, CHANGE_KINDS))
    kinds = "\n".join(
        f"  {kind:<{width}}  {text}" for kind, text in CHANGE_KINDS.items()
    )
    parser.epilog = f"Kinds of change:\n{kinds}"
    parser.add_argument("before", type=Path, help="results.jsonl of the earlier run")
    parser.add_argument("after", type=Path, help="results.jsonl of the later run")
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        help="also write the changes as an HTML page",
    )


def run(given: argparse.Namespace) -> int:
    """Print what changed, and write a page of it if the command line asks for one.

    Returns:
        The exit status: 1 if a verdict became its opposite or a cell was lost, else 0.

    Raises:
        ProbesError: A file cannot be read or written.
    """
    before, after = (
        {row_id(row): row for row in read_results(path)}
        for path in (given.before, given.after)
    )
    changes = compare_cells(
        *(
            {cell: CellResult.of(row) for cell, row in rows.items()}
            for rows in (before, after)
        )
    )
    if given.page is not None:
        _draw(given, changes, before, after)
    # Rows may come from strangers: remove whatever could control the terminal.
    print("\n".join(plain(line, LINE_LIMIT) for line in comparison_lines(changes)))
    return int(any(change.kind in GRAVE for change in changes))


def _draw(
    given: argparse.Namespace,
    changes: Sequence[Change],
    before: Mapping[str, Mapping[str, Any]],
    after: Mapping[str, Mapping[str, Any]],
) -> None:
    compared = RunComparison(
        before=str(given.before),
        after=str(given.after),
        changes=changes,
        rows={cell: dict(row) for cell, row in {**before, **after}.items()},
        differs=differences(before.values(), after.values()),
    )
    write_text(changes_page(compared), given.page)
