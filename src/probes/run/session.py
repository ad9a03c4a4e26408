"""One run: the rows that arrive, the work that was done, and the report at the end.

Knows nothing of pytest's hooks; the plugin calls it. In a run with workers there is one
of these in every process, and only the controller's writes a report.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

from probes.data.label_counts import counts_by_dataset
from probes.engine.throughput import achieved
from probes.results.provenance import provenance
from probes.results.record import Record, write_record
from probes.results.rows import (
    Row,
    correct,
    crashed_row,
    is_unexpected,
    order_rows,
    parse_test,
    write_rows,
    write_text,
)
from probes.run.listing import find_claim
from probes.run.options import given_options
from probes.run.prepared import Prepared


class Run(Prepared):
    """The state of a run in one process; see :class:`Prepared` for its arguments."""

    def __init__(self, option: Any, root: Path, **place: str | None) -> None:
        super().__init__(option, root, **place)
        self.started = time.perf_counter()
        self.rows: dict[str, Row] = {}
        self.collected: set[str] = set()
        self.reported: set[str] = set()
        self.measured: set[str] = set()
        self.reused: set[str] = set()
        self.n_forward = 0
        self._reported = 0

    def work_since_last_report(self) -> dict[str, Any]:
        """Tell what this process did since it was last asked, in plain values."""
        if "observer" not in self.__dict__:
            return {"measured": [], "reused": [], "forward": 0}
        done = self.observer
        found = {
            "measured": sorted(done.measured - self.measured),
            "reused": sorted(done.reused - self.reused),
            "forward": done.n_forward - self._reported,
        }
        self.measured |= done.measured
        self.reused |= done.reused
        self._reported = done.n_forward
        return found

    def take(self, row: Row | None, work: dict[str, Any]) -> None:
        """Take in a row and the work behind it, in the controller."""
        if row is not None:
            self.rows[row["test"]] = row
        self.measured.update(work["measured"])
        self.reused.update(work["reused"])
        self.n_forward += int(work["forward"])

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """By what and where the rows of this run are made."""
        return provenance(self.grid.settings, given_options(self.option))

    def take_crash(self, test: str, told: str) -> None:
        """Take in a test in which a worker died."""
        parsed = parse_test(test)
        models = {model.name: model for model in self.grid.models}
        if parsed is None or parsed[2] not in models:
            return  # no cell
        file, claim, model, dataset, n = parsed
        cell = "|".join((claim, model, dataset, str(n)))
        self.rows[test] = crashed_row(
            test,
            told,
            model=models[model],
            card=find_claim(
                self.tests / file, claim.partition("[")[0], self.option.file_or_dir
            ),
            expected=None if self.record is None else self.record.of(cell),
            provenance=self.provenance,
        )

    @property
    def is_picked(self) -> bool:
        """Whether tests were picked by name, and cells left out on purpose."""
        option = self.option
        by_id = any("[" in str(place) for place in option.file_or_dir)
        failed_last = getattr(option, "lf", False)
        return bool(option.keyword or option.markexpr or by_id or failed_last)

    def _compared(self, record: Record, rows: list[Row]) -> dict[str, Any]:
        found = record.compare(rows, self.provenance)
        return found | {"missing": []} if self.is_picked else found

    @property
    def missing(self) -> list[str]:
        """Tests that were collected and never reported."""
        return sorted(self.collected - self.reported)

    @property
    def missing_cells(self) -> list[str]:
        """Those of them that are cells."""
        return [test for test in self.missing if parse_test(test) is not None]

    def finish(self, *, interrupted: bool) -> tuple[list[Row], dict[str, Any]]:
        """Correct the rows, run the self-tests and write the report.

        Returns:
            The rows in order, and the run's sum.

        Raises:
            StoreError: The report cannot be written.
        """
        from probes.report import write_report
        from probes.report.changes import write_changes
        from probes.run.self_tests import run_self_tests

        rows = order_rows(self.rows.values())
        correct(rows)
        self_tests = run_self_tests(self.observer)
        work = self.work_since_last_report()
        self.take(None, work)
        counts = Counter(row["verdict"] for row in rows)
        ran = {row["dataset"] for row in rows}
        run = {
            "cells": len(rows),
            "verdicts": dict(sorted(counts.items())),
            "unexpected": sum(map(is_unexpected, rows)),
            "observations_measured": len(self.measured),
            "observations_stored": len(self.reused - self.measured),
            "forward_passes": self.n_forward,
            "self_tests": self_tests,
            "datasets": counts_by_dataset(
                (c for c in self.grid.datasets if c.name in ran),
                self.grid.settings.data_dir,
            ),
            "record": self.record and self._compared(self.record, rows),
            "speed": achieved(self.observer.store, sorted(self.measured)),
            "seconds": round(time.perf_counter() - self.started, 3),
            "complete": not (interrupted or self.missing),
            "provenance": self.provenance,
        }
        folder = self.places.reports
        write_rows(rows, folder / "results.jsonl")
        write_text(json.dumps(run, indent=1) + "\n", folder / "run.json")
        write_report(rows, run, folder)
        asked = self.record if self.option.expect is not None else None
        write_changes(asked, rows, run, folder)
        if self.places.update_expected and not self.missing and not interrupted:
            write_record(
                rows, self.root / "claims" / "expected.json", self.grid.settings
            )
        return rows, run
