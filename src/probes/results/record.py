"""What an earlier run recorded: the verdicts that a run is compared with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from probes.bounded_io import UnreadableError, brief, parse_json, read_text
from probes.cell import Settings
from probes.errors import OptionError
from probes.results.comparison import (
    Change,
    Standing,
    compare,
    comparison_lines,
    count,
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
    "seed",
    "device",
    "dtype",
)


class Record:
    """The verdicts that an earlier run recorded.

    Args:
        path: ``expected.json``, or the ``results.jsonl`` of any run.
        settings: The settings of this run. A record in ``expected.json`` speaks only of
            runs of its own sizes and seed; results are compared whatever their sizes.
        name: What reports call the file; None: as the path says.

    Attributes:
        cells: What is recorded, by cell; empty if the record speaks of other runs.
        made_with: The settings and versions behind it, as texts.
        applies: Whether it speaks of runs with these settings.
        standings: What is recorded, with the effect's interval where a run told it.

    Raises:
        OptionError: The file is no record.
    """

    def __init__(
        self, path: Path, settings: Settings, *, name: str | None = None
    ) -> None:
        self.name = name or str(path)
        self.cells: dict[str, dict[str, Any]] = {}
        self.made_with: dict[str, set[str]] = {}
        self.applies = True
        self.standings: dict[str, Standing] = {}
        self._is_strict = path.suffix != ".jsonl"
        if path.suffix == ".jsonl":
            rows = read_results(path)
            for row in rows:
                for fact, value in _facts(row["provenance"]).items():
                    self.made_with.setdefault(fact, set()).add(value)
            rows = [row for row in rows if row["verdict"] != "error"]
            self.cells = {row_id(row): recorded(row) for row in rows}
            self.standings = {row_id(row): Standing.of(row) for row in rows}
        elif path.exists():
            self.cells = self._read(path, settings)
            self.standings = {
                name: Standing(
                    verdict=cell["alone"], effect=cell["effect"], unit=cell["unit"]
                )
                for name, cell in self.cells.items()
            }

    def _read(self, path: Path, settings: Settings) -> dict[str, dict[str, Any]]:
        try:
            record = parse_json(read_text(path, limit=LARGEST))
            if not isinstance(record, dict) or not {"settings", "cells"} <= set(record):
                raise UnreadableError("it holds no 'settings' and 'cells'")
            if not all(isinstance(record[k], dict) for k in ("settings", "cells")):
                raise UnreadableError("its 'settings' or 'cells' are no objects")
            cells = dict(record["cells"])
            for cell in cells.values():
                _require_recorded(cell)
            made_with = {k: {str(v)} for k, v in record["settings"].items()}
        except (OSError, ValueError) as e:
            raise OptionError(
                f"{path} is no record of verdicts: {e}. Expected what "
                f"--update-expected writes, or the results.jsonl of a run. Restore "
                f"the file, or pass another."
            ) from e
        self.made_with = made_with
        self.applies = record["settings"] == recorded_settings(settings)
        return cells if self.applies else {}

    def compare(
        self, rows: Iterable[Row], provenance: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Say how many cells were compared, and what the record was made with.

        Returns:
            Plain values: ``file``; whether it ``applies``; ``compared`` cells, ``new``
            ones that the record lacks, and those that it has and that did ``not_run``;
            ``differs``: what was otherwise then, as texts [record, here]; ``changes``:
            how many cells of each kind of change (see ``comparison``), and the
            ``changed`` ones in words, without those that did not run; ``missing`` ones.
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
            "changes": count(changes) if self.cells else {},
            "changed": comparison_lines(changes)[1:] if self.cells else [],
        }

    def changes(self, rows: Iterable[Row], missing: Iterable[str] = ()) -> list[Change]:
        """Compare the cells that ran, and those that are missing, with the record."""
        after = {row_id(row): Standing.of(row) for row in rows}
        asked = {*after, *missing}
        return compare({k: s for k, s in self.standings.items() if k in asked}, after)

    def of(self, name: str) -> Expectation | None:
        """Return what was recorded for a cell; None if nothing was."""
        found = self.cells.get(name)
        if found is None:
            return None
        return Expectation(
            verdict=found["alone"],
            effect=found["effect"],
            unit=found["unit"],
            is_strict=self._is_strict,
        )


def _require_recorded(cell: Any) -> None:
    """Refuse what :func:`recorded` would not have written."""
    if not isinstance(cell, dict) or not {"alone", "effect", "unit"} <= set(cell):
        raise UnreadableError(f"{brief(cell)} is no recorded verdict")
    effect, unit = cell["effect"], cell["unit"]
    if (
        not (isinstance(cell["alone"], str) and cell["alone"] in VERDICTS)
        or not (effect is None or type(effect) in (int, float))
        or not isinstance(unit, str)
    ):
        raise UnreadableError(f"{brief(cell)} is no recorded verdict")


def missing_of(recorded: Iterable[str], ran: Iterable[str]) -> list[str]:
    """Name recorded cells that are not there though a run spoke of all their parts.

    Their claim was judged in other cells, and other claims at their model, dataset and
    number: no narrower run, but a claim or variant that is gone.
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
    """Flatten what of a row's provenance can change a verdict."""
    known = (*COMPARED, "commit")
    named = {name: provenance[name] for name in known if name in provenance}
    versions = provenance.get("versions", {})
    return {k: str(v) for k, v in {**named, **versions}.items()}


def differences(
    before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]
) -> dict[str, tuple[str, str]]:
    """Name the settings and versions in which two runs differ: before, after."""
    sides = [_told(before), _told(after)]
    return {
        fact: (was, now)
        for fact in dict.fromkeys([*sides[0], *sides[1]])
        if (was := sides[0].get(fact, "none")) != (now := sides[1].get(fact, "none"))
    }


def _told(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for row in rows:
        for fact, value in _facts(row["provenance"]).items():
            found.setdefault(fact, set()).add(value)
    return {fact: " or ".join(sorted(values)) for fact, values in found.items()}


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
    return {name: getattr(settings, name) for name in COMPARED}


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
