"""The rows of a finished run, read back: within bounds, in the form readers rely on.

Rows may come from another version or from a stranger. Fields that are there have their
type, numbers are finite; a field that is missing and needed is told with its line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from probes.bounded_io import UnreadableError, brief, lines_of, parse_json
from probes.errors import OptionError
from probes.results.rows import CELL, VERDICTS, Row

LARGEST = 256_000_000
"""Bytes of a file of rows: 100,000 cells of 2.5 kB, as the shipped ones are."""
LONGEST_LINE = 4_000_000
MOST_VALUES = 100_000
"""Values of one row; the shipped ones have at most a few thousand."""
NEEDED = {*CELL, "verdict", "effects", "provenance"}  # what a record reads of a row
EFFECT_NEEDED = {"name", "value", "unit", "low", "high", "margin", "floor", "ceiling"}
EFFECT_NEEDED |= {"level", "n_sets", "n_queries", "p", "p_adjusted"}


def read_rows_of(path: Path) -> list[Row]:
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
            f"{path} is no record of verdicts: {error}. Expected the results.jsonl of "
            f"a run, or a record that --update-expected wrote. Check the path."
        ) from error
    return rows


def _parsed(line: str, number: int) -> Row:
    try:
        row = parse_json(line, most_values=MOST_VALUES)
    except UnreadableError as error:
        raise UnreadableError(f"line {number}: {error}") from error
    missing = sorted(NEEDED - set(row)) if isinstance(row, dict) else ["a JSON object"]
    if missing:
        raise UnreadableError(f"line {number} lacks {', '.join(missing)}")
    wrong = next((k for k, v in row.items() if not _fits(ROW_FORM.get(k), v)), None)
    if wrong is not None:
        told = "verdict" if wrong == "verdict" else "field"
        name = "" if wrong == "verdict" else f" {wrong}"
        raise UnreadableError(f"line {number} has the {told}{name} {brief(row[wrong])}")
    return dict(row)


Form = Callable[[Any], bool]


def _fits(form: Form | None, value: Any) -> bool:
    return form is None or form(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _is_number(value: Any) -> bool:
    """Say whether a value is a finite number that a float holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -1e308 < value < 1e308 and math.isfinite(value)


def _or_null(form: Form) -> Form:
    return lambda value: value is None or form(value)


def _list_of(form: Form) -> Form:
    return lambda value: isinstance(value, list) and all(map(form, value))


def _is_verdict(value: Any) -> bool:
    return isinstance(value, str) and value in VERDICTS


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_effect(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() >= EFFECT_NEEDED
        and all(_fits(EFFECT_FORM.get(k), v) for k, v in value.items())
    )


def _is_provenance(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(part, {}), dict)
        and all(map(_is_text, value.get(part, {}).values()))
        for part in ("versions", "options")
    )


def _is_likeliest(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(pair, list)
        and len(pair) == 2
        and _is_text(pair[0])
        and _is_number(pair[1])
        for pair in value
    )


def _is_shown(value: Any) -> bool:
    """Say whether a value is an example query with both learners' likeliest tokens."""
    return (
        isinstance(value, dict)
        and all(_is_text(value.get(part)) for part in ("prompt", "answer"))
        and all(_is_likeliest(value.get(part)) for part in ("icl", "gd"))
    )


EFFECT_FORM: Mapping[str, Form] = {
    **dict.fromkeys(("name", "unit"), _is_text),
    **dict.fromkeys(("n_sets", "n_queries"), _is_count),
    **dict.fromkeys(("value", "low", "high", "level", "margin"), _or_null(_is_number)),
    **dict.fromkeys(("floor", "ceiling", "p", "p_adjusted"), _or_null(_is_number)),
    "has_two_sides": lambda value: isinstance(value, bool),
    "sets": _or_null(_list_of(_is_number)),
}
_TEXTS = ("claim", "sentence", "source", "file", "test", "model", "kind", "dataset")
ROW_FORM: Mapping[str, Form] = {
    **dict.fromkeys((*_TEXTS, "outcome"), _is_text),
    **dict.fromkeys(("reason", "note"), _or_null(_is_text)),
    **dict.fromkeys(("verdict", "alone"), _is_verdict),
    **dict.fromkeys(("p_supported", "p_refuted"), _or_null(_is_number)),
    "expected": _or_null(_is_verdict),
    "n_demonstrations": _is_count,
    "seconds": _is_number,
    "effects": _list_of(_is_effect),
    "observations": _list_of(_is_text),
    "details": _or_null(_is_mapping),
    "example": _or_null(_list_of(_is_shown)),
    "provenance": _is_provenance,
}
"""The form of the fields that are read by name; others are only carried along."""
