"""One run: the rows that arrive, the work that was done, and the report at the end.

Nothing here knows pytest's hooks; the plugin calls it. In a run with workers, every
process has one of these, and only the controller's writes a report.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

from probes.cell import Cell
from probes.claims import ClaimCard
from probes.data.label_counts import counts_by_dataset
from probes.engine.throughput import measured_throughput
from probes.results.matrix_correction import correct_verdicts
from probes.results.provenance import provenance
from probes.results.record import Record, write_record
from probes.results.rows import (
    Row,
    crashed_row,
    is_unexpected,
    order_rows,
    parse_test,
    write_rows,
    write_text,
)
from probes.run.listing import find_claim
from probes.run.parsed_options import options_of_rerun, why_no_template
from probes.run.row_groups import row_groups
from probes.run.run_setup import RunSetup
from probes.run.setups import setup_facts
from probes.verdicts.judge import Judge

MOST_LEFT_OUT = 5
"""Counts of rows or tensors that were left out which the summary of a run repeats."""
INTERRUPTED = "interrupted"
"""The sub-folder of a report that is incomplete, if there is a complete one."""


class Run(RunSetup):
    """The state of a run in one process; see :class:`RunSetup` for its arguments.

    Attributes:
        rows: The rows that arrived, by the name of their test.
        collected: Names of the tests that were collected.
        reported: Names of the tests that were reported.
        measured: Keys of the observations that were measured.
        reused: Keys of the observations that came from the store.
        n_forward: Forward passes that were made.
        reports: The folder of the report, once it is written.
    """

    def __init__(self, option: Any, root: Path, **given: str | None) -> None:
        super().__init__(option, root, **given)
        self.started = time.perf_counter()
        self.rows: dict[str, Row] = {}
        self.collected: set[str] = set()
        self.reported: set[str] = set()
        self.measured: set[str] = set()
        self.reused: set[str] = set()
        self.n_forward = 0
        self.reports: Path | None = None
        self._n_forward_reported = 0

    def work_since_last_report(self) -> dict[str, Any]:
        """List what this process measured and reused since the last call."""
        if "observer" not in self.__dict__:
            return {"measured": [], "reused": [], "forward": 0}
        done = self.observer
        work = {
            "measured": sorted(done.measured - self.measured),
            "reused": sorted(done.reused - self.reused),
            "forward": done.n_forward - self._n_forward_reported,
        }
        self.measured |= done.measured
        self.reused |= done.reused
        self._n_forward_reported = done.n_forward
        return work

    def add(self, row: Row | None, work: dict[str, Any]) -> None:
        """Add a row and the work that it took, in the controller."""
        if row is not None:
            self.rows[row["test"]] = row
        self.measured.update(work["measured"])
        self.reused.update(work["reused"])
        self.n_forward += int(work["forward"])

    def judge_of(self, claim: ClaimCard, cell: Cell) -> Judge:
        """Make the judge of a claim in a cell."""
        groups = row_groups(cell, self.population)
        return Judge(claim, cell, design=self.looks, groups=groups)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """The code, machine and options that made the rows of this run."""
        return provenance(
            self.grid.settings,
            options_of_rerun(self.option),
            tests_root=_from_here(self.tests),
            setup=self.setup_facts,
        )

    @cached_property
    def setup_facts(self) -> dict[str, str]:
        """Which published set-up the run has, and what was changed; empty: none."""
        no_template = why_no_template(self.option, self.grid.datasets)
        return setup_facts(
            self.option, {"template": no_template} if no_template else {}
        )

    def add_crash(self, test: str, message: str) -> None:
        """Add the row of a cell in which a worker died."""
        parsed = parse_test(test)
        models = {model.name: model for model in self.grid.models}
        if parsed is None or parsed[2] not in models:
            return  # no cell
        file, claim, model, dataset, n = parsed
        cell = "|".join((claim, model, dataset, str(n)))
        self.rows[test] = crashed_row(
            test,
            message,
            model=models[model],
            card=find_claim(
                self.tests / file, claim.partition("[")[0], self.option.file_or_dir
            ),
            expected=None if self.record is None else self.record.expectation(cell),
            provenance=self.provenance,
        )

    @property
    def is_selection(self) -> bool:
        """Whether a name, a budget or a set-up selected tests: others did not run."""
        option = self.option
        by_id = any("[" in str(path) for path in option.file_or_dir)
        failed_last = getattr(option, "lf", False)
        named = option.keyword or option.markexpr or by_id or failed_last
        named = named or option.setup
        return bool(named or self.budget_choice.tests)

    @property
    def missing(self) -> list[str]:
        """Tests that were collected and never reported."""
        return sorted(self.collected - self.reported)

    @property
    def missing_cells(self) -> list[str]:
        """Cells that were collected and never reported."""
        return [test for test in self.missing if parse_test(test) is not None]

    def finish(self, *, interrupted: bool) -> tuple[list[Row], dict[str, Any]]:
        """Correct the rows, run the self-tests and write the report.

        Args:
            interrupted: Whether somebody stopped the run.

        Returns:
            The rows in order, and the summary of the run.

        Raises:
            StoreError: The report cannot be written.
        """
        rows = order_rows(self.rows.values())
        correct_verdicts(rows)
        is_complete = not (interrupted or self.missing)
        summary = self._summary(rows, is_complete=is_complete)
        self._write(rows, summary)
        if self.option.update_expected and is_complete:
            path = self.root / "claims" / "expected.json"
            write_record(rows, path, self.grid.settings)
        return rows, summary

    def _summary(self, rows: list[Row], *, is_complete: bool) -> dict[str, Any]:
        """Run the self-tests, and add up the rows and the work of the whole run."""
        from probes.run.self_tests import run_self_tests

        self_tests = run_self_tests(self.observer)
        self.add(None, self.work_since_last_report())
        verdicts = Counter(row["verdict"] for row in rows)
        judged_on = {row["dataset"] for row in rows}
        datasets = (card for card in self.grid.datasets if card.name in judged_on)
        return {
            "cells": len(rows) + len(self.missing_cells),
            "verdicts": dict(sorted(verdicts.items())),
            "unexpected": sum(map(is_unexpected, rows)),
            "observations_measured": len(self.measured),
            "observations_stored": len(self.reused - self.measured),
            "forward_passes": self.n_forward,
            "self_tests": self_tests,
            "datasets": counts_by_dataset(datasets, self.grid.settings.data_dir),
            "record": self.record and self._compared(self.record, rows),
            "speed": measured_throughput(self.observer.store, sorted(self.measured)),
            "left_out": [
                *self.unanswerable,
                *self.budget_choice.lines,
                *_left_out_lines(rows),
            ],
            "seconds": round(time.perf_counter() - self.started, 3),
            "complete": is_complete,
            "provenance": self.provenance,
        }

    def _folder_of(self, *, is_complete: bool) -> Path:
        """Choose the report's folder: an incomplete run replaces no complete report."""
        folder = self.paths.reports
        try:
            last = json.loads((folder / "run.json").read_text("utf-8"))
            keeps = not is_complete and bool(last["complete"]) and last["cells"] > 0
        except (OSError, ValueError, TypeError, KeyError):
            keeps = False  # there is no report, or none that can be read
        return folder / INTERRUPTED if keeps else folder

    def _compared(self, record: Record, rows: list[Row]) -> dict[str, Any]:
        comparison = record.compare(rows, self.provenance)
        return comparison | {"missing": []} if self.is_selection else comparison

    def _write(self, rows: list[Row], summary: dict[str, Any]) -> None:
        from probes.report import write_report
        from probes.report.changes import write_changes

        folder = self.reports = self._folder_of(is_complete=summary["complete"])
        write_rows(rows, folder / "results.jsonl")
        write_text(json.dumps(summary, indent=1) + "\n", folder / "run.json")
        write_report(rows, summary, folder)
        asked = self.record if self.option.expect is not None else None
        write_changes(asked, rows, summary, folder)


def _from_here(folder: Path) -> str:
    """Give the path of a folder from the current one; absolute on another drive."""
    try:
        return os.path.relpath(folder)
    except ValueError:
        return str(folder)


def _left_out_lines(rows: list[Row]) -> list[str]:
    """Say which rows and tensors the cells did without, each once."""
    found = [(row.get("details") or {}).get("left_out", []) for row in rows]
    texts = list(dict.fromkeys(text for of_row in found for text in of_row))
    rest = len(texts) - MOST_LEFT_OUT
    more = [f"{rest} other counts are in the notes of their cells."] if rest > 0 else []
    return [*(f"{text}." for text in texts[:MOST_LEFT_OUT]), *more]
