"""Join the rows of several runs to one matrix, corrected anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from probes.bounded_io import parse_json
from probes.errors import OptionError
from probes.results.matrix_correction import correct_verdicts
from probes.results.reading import read_results
from probes.results.rows import Row, order_rows, row_id

LARGEST_RUN = 10_000_000
"""Bytes of a run.json; that of 1450 cells has 10,000."""
SUMS = (
    "observations_measured",
    "observations_stored",
    "forward_passes",
    "seconds",
    "unexpected",
)


def join_runs(folders: Sequence[Path]) -> tuple[list[Row], dict[str, Any]]:
    """Read the runs in several folders as if they were one.

    Args:
        folders: Each has the ``results.jsonl`` and the ``run.json`` of a run.

    Returns:
        The rows of all, in order and corrected over all of them, and the content of
        ``run.json``. Every row keeps its own provenance. That of the summary names all
        values of what differs, and the options that all runs have in common.

    Raises:
        OptionError: A folder holds no run, or two runs have judged the same cell.
    """
    rows: list[Row] = []
    runs: list[dict[str, Any]] = []
    judged: dict[str, Path] = {}
    for folder in folders:
        runs.append(_read_run(folder / "run.json"))
        for row in read_results(folder / "results.jsonl"):
            cell = row_id(row)
            if cell in judged:
                raise OptionError(
                    f"{folder} and {judged[cell]} have both judged {cell}. Expected "
                    f"runs of different cells. Leave one of the folders out."
                )
            judged[cell] = folder
            rows.append(_uncorrected(row))
    rows = order_rows(rows)
    correct_verdicts(rows)
    return rows, _summed(runs, rows)


def _uncorrected(row: Row) -> Row:
    """Give a row back its own verdict, which another matrix may have withdrawn."""
    effects = [{**effect, "p_adjusted": None} for effect in row["effects"]]
    was_withdrawn = row["verdict"] != row["alone"]
    reason = "" if was_withdrawn else row["reason"]
    return {**row, "effects": effects, "verdict": row["alone"], "reason": reason}


def _read_run(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_RUN:
            raise ValueError("it is too large")
        run = parse_json(path.read_text("utf-8"), most_values=LARGEST_RUN)
        lacking = {"provenance", "self_tests", "datasets", "complete", *SUMS} - set(run)
        if lacking:
            raise ValueError(f"it lacks {', '.join(sorted(lacking))}")
    except (OSError, ValueError, TypeError) as error:
        raise OptionError(
            f"{path} is not the summary of a run: {error}. Expected the run.json that "
            f"a run writes beside its results.jsonl. Check the folder."
        ) from error
    return dict(run)


def _summed(runs: Sequence[Mapping[str, Any]], rows: Sequence[Row]) -> dict[str, Any]:
    self_tests: dict[str, bool] = {}
    for run in runs:
        for name, passed in run["self_tests"].items():
            self_tests[name] = passed and self_tests.get(name, True)
    return {
        "cells": len(rows),
        "verdicts": dict(sorted(Counter(row["verdict"] for row in rows).items())),
        **{name: sum(run[name] for run in runs) for name in SUMS},
        "self_tests": self_tests,
        "datasets": {k: v for run in runs for k, v in run["datasets"].items()},
        "record": None,
        "speed": [],
        "left_out": [line for run in runs for line in run.get("left_out", [])],
        "complete": all(run["complete"] for run in runs),
        "provenance": _common([run["provenance"] for run in runs]),
    }


def _common(made: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Say of several runs what one provenance says of one."""
    common: dict[str, Any] = {}
    for name in dict.fromkeys(name for each in made for name in each):
        values = [each.get(name) for each in made]
        parts = [value.items() for value in values if isinstance(value, Mapping)]
        if all(value == values[0] for value in values):
            common[name] = values[0]
        elif len(parts) == len(values):
            common[name] = dict(
                item for item in parts[0] if all(item in part for part in parts)
            )
        else:
            common[name] = ", ".join(dict.fromkeys(map(str, values)))
    return common
