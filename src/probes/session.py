"""One run: the rows that arrive, the work that was done, and the report at the end.

Knows nothing of pytest's hooks; the plugin calls it. In a run with workers there is one
of these in every process, and only the controller's writes a report.
"""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from probes.catalogue import find_claim
from probes.census import census, censuses
from probes.engine.choice import parse_engine, parse_shard
from probes.engine.run_store import RunStore
from probes.engine.store import Store
from probes.engine.watch import Watch, WatchedObserver
from probes.errors import OptionError, ProbesError
from probes.grid import Grid
from probes.looking import looks_of
from probes.options import given_options, grid_of
from probes.places import Places, places_of
from probes.plan import look_lines, plan_work, power_lines, work_lines
from probes.progress import Status
from probes.provenance import provenance
from probes.record import Record, write_record
from probes.request import Request
from probes.results import (
    Row,
    correct,
    crashed_row,
    is_unexpected,
    order_rows,
    parse_test,
    write_rows,
    write_text,
)
from probes.run_files import read_rows_of
from probes.sequential import Looks
from probes.speed import achieved


class Run:
    """The state of a run in one process.

    Args:
        option: Parsed options.
        root: The folder that default places are relative to.
        worker: Name of this process among the workers; None in the controller.
        status_folder: Where processes write their progress; None makes a new one.
    """

    def __init__(
        self,
        option: Any,
        root: Path,
        *,
        worker: str | None = None,
        status_folder: str | None = None,
    ) -> None:
        self.option, self.root, self.worker = option, root, worker
        self.started = time.perf_counter()
        self.rows: dict[str, Row] = {}
        self.collected: set[str] = set()
        self.reported: set[str] = set()
        self.measured: set[str] = set()
        self.reused: set[str] = set()
        self.n_forward = 0
        self.planned: dict[str, Request] = {}
        self._keys: dict[Request, str | None] = {}
        self._reported = 0
        self._status_folder = status_folder

    @cached_property
    def grid(self) -> Grid:
        """The models, datasets and sizes of the run."""
        return grid_of(self.option)

    @cached_property
    def looks(self) -> Looks | None:
        """At how many sets cells may be judged; None: at one number."""
        return looks_of(self.option)

    @cached_property
    def places(self) -> Places:
        """Where the run reads and writes."""
        return places_of(self.option, self.root)

    @cached_property
    def record(self) -> Record | None:
        """What an earlier run recorded; None with ``--raw``."""
        if self.places.raw or self.places.update_expected:
            return None
        if self.looks is not None and self.option.expect is None:
            return None  # the record is of cells that were judged at one size
        name = self.option.expect or "claims/expected.json"
        return Record(self.places.expected, self.grid.settings, name=name)

    @cached_property
    def status_folder(self) -> Path:
        """Where the processes of this run write their progress."""
        if self._status_folder is not None:
            return Path(self._status_folder)
        folder = self.places.store / f"run-{uuid.uuid4().hex[:12]}"
        try:
            folder.mkdir(parents=True)
        except OSError:  # a store that is only read
            return Path(tempfile.mkdtemp(prefix="probes-run-"))
        return folder

    @cached_property
    def status(self) -> Status:
        """The progress of this process."""
        return Status(self.status_folder, self.worker or "main")

    @cached_property
    def store(self) -> RunStore:
        """Where observations are kept; where it cannot be written, they are not."""
        return RunStore(self.places.store)

    @cached_property
    def observer(self) -> WatchedObserver:
        """Makes this process's observations."""
        is_replaced = self.worker is not None
        watch = Watch(self.option.time_limit, is_replaced=is_replaced)
        return WatchedObserver(self.store, watch=watch, announce=self.status.announce)

    def check(self) -> None:
        """Refuse what no cell could be made of, before anything is collected.

        Raises:
            ProbesError: An option cannot be used, the rows of a dataset cannot be read,
                or no model that was asked for reads a dataset that was.
        """
        _ = self.grid, self.looks, self.places, self.record
        Watch(self.option.time_limit)
        if self.option.store is not None and not self.places.store.is_dir():
            Store(self.places.store)  # what cannot be made is told before anything runs
        if self.worker is not None:
            return
        _ = self.store  # a store that cannot be written is told before anything runs
        if self.option.engine is not None:
            parse_engine(self.option.engine)
        if self.option.shard is not None:
            parse_shard(self.option.shard)
        if self.is_narrowed and not self.grid.can_exist:
            raise OptionError(self.grid.no_cell)
        for card in self.grid.datasets if self.option.datasets else ():
            census(card, self.grid.settings.data_dir)

    @property
    def is_narrowed(self) -> bool:
        """Whether models or datasets were asked for by name."""
        return bool(self.option.models or self.option.datasets)

    def plan(self, requests: Iterable[Request]) -> None:
        """Take in the observations that the run needs, each once."""
        for request in requests:
            key = self.key_of(request)
            if key is not None:
                self.planned.setdefault(key, request)
        stored = sum(key in self.store for key in self.planned)
        self.status.plan(len(self.planned), stored)

    def key_of(self, request: Request) -> str | None:
        """Compute a request's key, once for equal ones; None where it has none."""
        if request not in self._keys:
            try:
                self._keys[request] = request.key
            except (ProbesError, OSError):  # its own cell will report it, in words
                self._keys[request] = None
        return self._keys[request]

    def plan_lines(self, cells: Collection[str]) -> list[str]:
        """Write what the run would measure, and what it could decide.

        Args:
            cells: Names of its cells.
        """
        work = plan_work(self.planned.values(), self.store)
        earlier = self.places.reports / "results.jsonl"
        rows = read_rows_of(earlier) if earlier.is_file() else []
        told = power_lines(rows, cells=cells, settings=self.grid.settings)
        return [*work_lines(len(cells), work), *look_lines(self.looks), "", *told]

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
                self.root / file, claim.partition("[")[0], self.option.file_or_dir
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
        from probes.self_tests import run_self_tests

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
            "datasets": censuses(
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
