"""The record of an earlier run, which a run is compared with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from probes.bounded_io import UnreadableError, brief, parse_json, read_text
from probes.cell import Settings
from probes.errors import OptionError
from probes.results.comparison import (
    CellResult,
    Change,
    compare_cells,
    comparison_lines,
    count_changes,
)
from probes.results.reading import read_results
from probes.results.row_shape import VERDICTS
from probes.results.rows import Row, order_rows, row_id, write_text
from probes.verdicts.outcomes import Expectation

LARGEST = 64_000_000
"""Bytes of a record: 400,000 cells of 150 bytes, as the shipped ones are."""
COMPARED = (
    "n_sets",
    "n_queries",
    "n_orders",
    "n_calibration",
    "effort",
    "rates",
    "passes",
    "seed",
    "device",
    "dtype",
)


class Record:
    """The verdicts that an earlier run recorded.

    Args:
        path: ``expected.json``, or the ``results.jsonl`` of any run.
        settings: The settings of this run. ``expected.json`` applies only to runs with
            the same sizes and seed. ``results.jsonl`` applies to every run.
        name: What reports call the file; None: its path.

    Attributes:
        cells: What is recorded, by cell; empty if the record does not apply.
        made_with: The settings and versions that made the record, as texts.
        applies: Whether the record applies to runs with these settings.
        cell_results: The recorded results, with intervals if the file has them.

    Raises:
        OptionError: The file is not a record.
    """

    def __init__(
        self, path: Path, settings: Settings, *, name: str | None = None
    ) -> None:
        self.name = name or str(path)
        self.cells: dict[str, dict[str, Any]] = {}
        self.made_with: dict[str, set[str]] = {}
        self.applies = True
        self.cell_results: dict[str, CellResult] = {}
        self._is_strict = path.suffix != ".jsonl"
        if path.suffix == ".jsonl":
            rows = read_results(path)
            for row in rows:
                for fact, value in _facts(row["provenance"]).items():
                    self.made_with.setdefault(fact, set()).add(value)
            rows = [row for row in rows if row["verdict"] != "error"]
            self.cells = {row_id(row): recorded_cell(row) for row in rows}
            self.cell_results = {row_id(row): CellResult.of(row) for row in rows}
        elif path.exists():
            self.cells = self._read(path, settings)
            self.cell_results = {
                name: CellResult(
                    verdict=cell["alone"], effect=cell["effect"], unit=cell["unit"]
                )
                for name, cell in self.cells.items()
            }

    def _read(self, path: Path, settings: Settings) -> dict[str, dict[str, Any]]:
        try:
            record = parse_json(read_text(path, limit=LARGEST))
            if not isinstance(record, dict) or not {"settings", "cells"} <= set(record):
                raise UnreadableError("it has no 'settings' and 'cells'")
            if not all(isinstance(record[k], dict) for k in ("settings", "cells")):
                raise UnreadableError("its 'settings' or 'cells' are not objects")
            cells = dict(record["cells"])
            for cell in cells.values():
                _require_recorded(cell)
            # Records from before there was a choice were made without it.
            usual = recorded_settings(Settings())
            chosen = {name: usual[name] for name in ("effort", "rates", "passes")}
            settings_then = {**chosen, **record["settings"]}
            made_with = {k: {_text_of(v)} for k, v in settings_then.items()}
        except (OSError, ValueError) as e:
            raise OptionError(
                f"{path} is not a record of verdicts: {e}. Expected what "
                f"--update-expected writes, or the results.jsonl of a run. Restore "
                f"the file, or pass another."
            ) from e
        self.made_with = made_with
        self.applies = settings_then == recorded_settings(settings)
        return cells if self.applies else {}

    def compare(
        self, rows: Iterable[Row], provenance: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Count the cells that were compared, and say how the two runs differ.

        Returns:
            Plain values: ``file``; whether the record ``applies``; how many cells were
            ``compared``, are ``new`` here, or did ``not_run`` here; ``differs``: the
            settings and versions that differ, as texts [record, here]; ``changes``: the
            number of cells for each kind of change (see ``comparison``); ``changed``:
            these cells in words; and the ``missing`` cells.
        """
        rows = list(rows)
        ran = {row_id(row) for row in rows}
        changes = self.changes(rows)
        here = _facts(provenance)
        return {
            "file": self.name,
            "applies": self.applies,
            "compared": len(ran & self.cells.keys()),
            "new": len(ran - self.cells.keys()),
            "not_run": len(self.cells.keys() - ran),
            "missing": missing_of(self.cells.keys(), ran),
            "differs": {
                fact: [" or ".join(sorted(values)), here.get(fact, "none")]
                for fact, values in self.made_with.items()
                if values != {here.get(fact, "none")}
            },
            "changes": count_changes(changes) if self.cells else {},
            "changed": comparison_lines(changes)[1:] if self.cells else [],
        }

    def changes(self, rows: Iterable[Row], missing: Iterable[str] = ()) -> list[Change]:
        """Compare the cells that ran, and those that are missing, with the record."""
        after = {row_id(row): CellResult.of(row) for row in rows}
        asked = {*after, *missing}
        return compare_cells(
            {k: s for k, s in self.cell_results.items() if k in asked}, after
        )

    def expectation(self, name: str) -> Expectation | None:
        """Return what is recorded for a cell; None if nothing is."""
        cell = self.cells.get(name)
        if cell is None:
            return None
        return Expectation(
            verdict=cell["alone"],
            effect=cell["effect"],
            unit=cell["unit"],
            is_strict=self._is_strict,
        )


def _require_recorded(cell: Any) -> None:
    """Refuse a cell that :func:`recorded_cell` would not have written."""
    if not isinstance(cell, dict) or not {"alone", "effect", "unit"} <= set(cell):
        raise UnreadableError(f"{brief(cell)} is not a recorded verdict")
    effect, unit = cell["effect"], cell["unit"]
    if (
        not (isinstance(cell["alone"], str) and cell["alone"] in VERDICTS)
        or not (effect is None or type(effect) in (int, float))
        or not isinstance(unit, str)
    ):
        raise UnreadableError(f"{brief(cell)} is not a recorded verdict")


def missing_of(recorded: Iterable[str], ran: Iterable[str]) -> list[str]:
    """Name the recorded cells that a run should have judged and did not.

    The run judged their claim in other cells, and other claims at their model, dataset
    and number of demonstrations. So the run was not merely narrower: a claim or a
    variant is gone.
    """
    cells = set(ran)
    claims = {cell.partition("[")[0].partition("|")[0] for cell in cells}
    places = {cell.partition("|")[2] for cell in cells}
    return sorted(
        cell
        for cell in set(recorded) - cells
        if cell.partition("[")[0].partition("|")[0] in claims
        and cell.partition("|")[2] in places
    )


def _facts(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Flatten the parts of a row's provenance that can change a verdict."""
    known = (*COMPARED, "commit")
    named = {name: provenance[name] for name in known if name in provenance}
    named |= {name: provenance.get(name, []) for name in ("rates", "passes")}
    setup, given = provenance.get("setup", {}), provenance.get("options", {})
    templates = given.get("--template"), setup.get("--template"), "each its own"
    named["template"] = next(filter(None, templates))
    named["setup"] = setup.get("name", "none")
    versions = provenance.get("versions", {})
    return {k: _text_of(v) for k, v in {**named, **versions}.items()}


def _text_of(value: Any) -> str:
    """Write a setting; an empty list of rates or passes means a search."""
    if isinstance(value, list):
        return ", ".join(f"{v:g}" for v in value) or "searched"
    return str(value)


def differences(*runs: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return the settings and versions in which runs differ, with each run's value.

    Args:
        runs: The rows of each run.
    """
    sides = [_facts_of_all(rows) for rows in runs]
    found = {
        fact: tuple(side.get(fact, "none") for side in sides)
        for fact in dict.fromkeys(fact for side in sides for fact in side)
    }
    return {fact: values for fact, values in found.items() if len({*values}) > 1}


def _facts_of_all(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    values_of: dict[str, set[str]] = {}
    for row in rows:
        for fact, value in _facts(row["provenance"]).items():
            values_of.setdefault(fact, set()).add(value)
    return {fact: " or ".join(sorted(values)) for fact, values in values_of.items()}


def recorded_cell(row: Row) -> dict[str, Any]:
    """Shorten a row to the part that a record keeps."""
    effect = row["effects"][0] if row["effects"] else {"value": None, "unit": ""}
    return {
        "verdict": row["verdict"],
        "alone": row.get("alone", row["verdict"]),
        "effect": effect["value"],
        "unit": effect["unit"],
    }


def recorded_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that a run must share for a record to apply to it."""
    values = {name: getattr(settings, name) for name in COMPARED}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def write_record(rows: Iterable[Row], path: Path, settings: Settings) -> None:
    """Write ``expected.json``, and keep its entries for cells that did not run.

    A record with other settings is replaced as a whole.

    Raises:
        OptionError: The existing file is broken.
        StoreError: The file cannot be written.
    """
    kept = Record(path, settings).cells
    cells = {**kept, **{row_id(row): recorded_cell(row) for row in order_rows(rows)}}
    cells = dict(sorted(cells.items()))
    text = json.dumps(
        {"settings": recorded_settings(settings), "cells": cells},
        indent=1,
        ensure_ascii=False,
        allow_nan=False,
    )
    write_text(text + "\n", path)
