"""Read the rows of a finished run back, within bounds and in a known shape.

Rows may come from another version or from a stranger, so every field that readers rely
on is checked against :mod:`probes.results.row_shape`. An error names the line and
the field.
"""

from __future__ import annotations

from pathlib import Path

from probes.bounded_io import UnreadableError, brief, lines_of, parse_json
from probes.errors import OptionError
from probes.results.row_shape import ROW_FIELDS
from probes.results.rows import Row

LARGEST = 256_000_000
"""Bytes of a file of rows: 100,000 cells of 2.5 kB, as the shipped ones are."""
LONGEST_LINE = 4_000_000
MOST_VALUES = 100_000
"""Values of one row; the shipped ones have at most a few thousand."""
USUAL = {
    "sentence": "",
    "source": "",
    "identity": False,
    "kind": "unknown",
    "expected": None,
    "outcome": "passed",
    "p_supported": None,
    "p_refuted": None,
    "reason": None,
}
"""What a field is taken to be where a row lacks it."""
NEEDED = {name for name, field in ROW_FIELDS.items() if field.is_needed}


def results_of(run: Path) -> Path:
    """Name the results of a run: the file itself, or that of its report's folder."""
    return run / "results.jsonl" if run.is_dir() else run


def read_results(path: Path) -> list[Row]:
    """Read ``results.jsonl``.

    Raises:
        OptionError: The file is missing, empty, too large, or holds something else.
    """
    try:
        lines = lines_of(path, limit=LARGEST, longest=LONGEST_LINE)
        rows = [_parsed(line, i) for i, line in enumerate(lines, start=1) if line]
        if not rows:
            raise UnreadableError("it has no rows")
    except (OSError, ValueError) as error:
        raise OptionError(
            f"{path} is not a record of verdicts: {error}. Expected the results.jsonl "
            f"of a run, or a record that --update-expected wrote. Check the path."
        ) from error
    return rows


def complete_row(row: Row) -> Row:
    """Fill in the fields that rows of other versions may lack and drawings need."""
    return {**USUAL, "alone": row["verdict"], **row}


def _parsed(line: str, number: int) -> Row:
    try:
        row = parse_json(line, most_values=MOST_VALUES)
    except UnreadableError as error:
        raise UnreadableError(f"line {number}: {error}") from error
    missing = sorted(NEEDED - set(row)) if isinstance(row, dict) else ["a JSON object"]
    if missing:
        raise UnreadableError(f"line {number} lacks {', '.join(missing)}")
    for name, value in row.items():
        field = ROW_FIELDS.get(name)
        if field is not None and not field.shape.reads(value):
            raise UnreadableError(
                f"line {number} has the field {name} {brief(value)}, not "
                f"{field.shape.words}"
            )
    return dict(row)
