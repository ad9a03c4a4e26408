"""Compare the results of two or more runs, cell by cell, with those of the first.

Exit status: 1 if a verdict became its opposite or a cell was lost, 4 if a file cannot
be read or written, and otherwise 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from probes.errors import OptionError
from probes.report.changes import RunComparison, changes_page, setting_name
from probes.report.matrix import plain
from probes.results.comparison import (
    CHANGE_KINDS,
    GRAVE,
    LINE_LIMIT,
    CellResult,
    compare_cells,
    comparison_lines,
)
from probes.results.reading import read_results, results_of
from probes.results.record import differences
from probes.results.rows import Row, row_id, write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``probes compare``."""
    width = max(map(len, CHANGE_KINDS))
    kinds = "\n".join(
        f"  {kind:<{width}}  {text}" for kind, text in CHANGE_KINDS.items()
    )
    parser.epilog = f"Kinds of change:\n{kinds}"
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="the report folder of a run, or its results.jsonl; the earliest first",
    )
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        help="also write an HTML page: what changed first, and effects against effects",
    )


def run(given: argparse.Namespace) -> int:
    """Print what changed, and write a page of it if the command line asks for one.

    Returns:
        The exit status: 1 if a verdict became its opposite or a cell was lost, else 0.

    Raises:
        ProbesError: There is only one run, or a file cannot be read or written.
    """
    if len(given.runs) < 2:
        raise OptionError(
            f"Only one run is given, {given.runs[0]}. Expected two or more. Name the "
            f"earlier run first, as in probes compare BEFORE AFTER."
        )
    sides = [
        {row_id(row): row for row in read_results(results_of(path))}
        for path in given.runs
    ]
    compared = compare_runs([str(path) for path in given.runs], sides)
    if given.page is not None:
        write_text(changes_page(compared), given.page)
    # Rows may come from strangers: remove whatever could control the terminal.
    print("\n".join(plain(line, LINE_LIMIT) for line in _lines(compared)))
    found = (change.kind for changes in compared.changes for change in changes)
    return int(any(kind in GRAVE for kind in found))


def compare_runs(
    names: Sequence[str], sides: Sequence[Mapping[str, Row]]
) -> RunComparison:
    """Compare the rows of runs, by cell, with those of the first run."""
    first, *others = (
        {cell: CellResult.of(row) for cell, row in rows.items()} for rows in sides
    )
    return RunComparison(
        names=names,
        changes=[compare_cells(first, other) for other in others],
        sides=sides,
        differs=differences(*(rows.values() for rows in sides)),
    )


def _lines(compared: RunComparison) -> list[str]:
    """Write what changed in each later run, and the settings that differ."""
    lines: list[str] = []
    first, *others = compared.names
    for name, changes in zip(others, compared.changes, strict=True):
        lines += [f"{name} against {first}:"] if others[1:] else []
        lines += comparison_lines(changes)
    differing = [
        f"{setting_name(name)} {' → '.join(values)}"
        for name, values in compared.differs.items()
    ]
    return [
        *lines,
        *([f"the runs differ in: {'; '.join(differing)}"] * bool(differing)),
    ]
