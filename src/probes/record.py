"""What an earlier run recorded: the verdicts that a run is compared with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from probes.errors import OptionError
from probes.judge import Expectation
from probes.results import VERDICTS, Row, order_rows, read_rows_of, row_id, write_text
from probes.tasks import Settings


class Record:
    """The verdicts that an earlier run recorded.

    Args:
        path: ``expected.json``, or the ``results.jsonl`` of any run.
        settings: The settings of this run. A record in ``expected.json`` speaks only of
            runs of its own sizes and seed; results are compared whatever their sizes.

    Raises:
        OptionError: The file is broken.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self.cells: dict[str, dict[str, Any]] = {}
        if path.suffix == ".jsonl":
            rows = [row for row in read_rows_of(path) if row["verdict"] != "error"]
            self.cells = {row_id(row): recorded(row) for row in rows}
        elif path.exists():
            self.cells = self._read(path, settings)

    def _read(self, path: Path, settings: Settings) -> dict[str, dict[str, Any]]:
        try:
            record = json.loads(path.read_text("utf-8"))
            cells = dict(record["cells"])
            ours = record["settings"] == recorded_settings(settings)
            if any(cell["alone"] not in VERDICTS for cell in cells.values()):
                raise ValueError("a verdict is none of ours")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise OptionError(
                f"{path} cannot be read as a record: {error}. Expected what "
                f"--update-expected writes. Restore the file or write it anew."
            ) from error
        return cells if ours else {}

    def of(self, name: str) -> Expectation | None:
        """Return what was recorded for a cell; None if nothing was."""
        found = self.cells.get(name)
        if found is None:
            return None
        return Expectation(
            verdict=found["alone"], effect=found["effect"], unit=found["unit"]
        )


def recorded(row: Row) -> dict[str, Any]:
    """Shorten a row to what a record keeps of it."""
    effect = row["effects"][0] if row["effects"] else {"value": None, "unit": ""}
    return {
        "verdict": row["verdict"],
        "alone": row.get("alone", row["verdict"]),
        "effect": effect["value"],
        "unit": effect["unit"],
    }


def recorded_settings(settings: Settings) -> dict[str, Any]:
    """Name the settings that a record speaks of."""
    names = (
        "n_sets",
        "n_queries",
        "n_orders",
        "n_calibration",
        "seed",
        "device",
        "dtype",
    )
    return {name: getattr(settings, name) for name in names}


def write_record(rows: Iterable[Row], path: Path, settings: Settings) -> None:
    """Write ``expected.json``, keeping what it says of cells that did not run.

    A record of other settings is replaced whole: its verdicts speak of other runs.

    Raises:
        OptionError: The present file is broken.
        StoreError: The file cannot be written.
    """
    kept = Record(path, settings).cells
    cells = {**kept, **{row_id(row): recorded(row) for row in order_rows(rows)}}
    cells = dict(sorted(cells.items()))
    text = json.dumps(
        {"settings": recorded_settings(settings), "cells": cells},
        indent=1,
        ensure_ascii=False,
        allow_nan=False,
    )
    write_text(text + "\n", path)
