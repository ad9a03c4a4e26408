"""What a run is made of, read from its options, and the plan of what it measures.

In a run with workers, every process has one of these.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Collection, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from probes.cell import Settings
from probes.engine.engine_choice import parse_engine, parse_shard
from probes.engine.machine_speed import MachineSpeed
from probes.engine.progress import ProgressFile
from probes.engine.requests_by_work import RequestsByWork
from probes.engine.run_store import RunStore
from probes.engine.store import Store
from probes.engine.store_versions import note_upgrades
from probes.engine.time_limit import TimeLimit, TimeLimitedObserver
from probes.engine.work_queue import workers_that_fit
from probes.errors import OptionError
from probes.observations.request import Request
from probes.results.reading import read_results
from probes.results.record import Record
from probes.results.rows import write_text
from probes.run.budget import (
    Budget,
    BudgetChoice,
    BudgetFile,
    PlannedCell,
    parse_budget,
)
from probes.run.gpu_plan import gpu_lines
from probes.run.grid import Grid
from probes.run.interim_analysis import looks_of
from probes.run.parsed_options import RunPaths, grid_of, paths_of
from probes.run.plan import Estimator, content_key, look_lines, plan_work, work_lines
from probes.run.planned_power import power_lines
from probes.run.preconditions import require_needs
from probes.run.row_groups import population_of
from probes.run.row_supply import row_counts, shortage_lines
from probes.run.unanswerable import UNANSWERABLE, unanswerable_lines
from probes.verdicts.group_means import Population
from probes.verdicts.group_sequential import GroupSequentialDesign


class RunSetup:
    """A run before it begins, in one process.

    Args:
        option: Parsed options.
        root: The folder that default paths are relative to.
        worker: Name of this process among the workers; None in the controller.
        status_folder: Where processes write their progress; None makes a new folder.
        tests: The folder that test names are relative to; None means the root.
    """

    def __init__(
        self,
        option: Any,
        root: Path,
        *,
        worker: str | None = None,
        status_folder: str | None = None,
        tests: str | None = None,
    ) -> None:
        self.option, self.root, self.worker = option, root, worker
        self.tests = root if tests is None else Path(tests)
        self.planned: dict[str, Request] = {}
        self.requests: Callable[[], Iterable[Request]] = tuple
        self._keys: dict[Request, str | None] = {}
        self._status_folder = status_folder

    @cached_property
    def grid(self) -> Grid:
        """The models, datasets and sizes of the run."""
        return grid_of(self.option)

    @cached_property
    def looks(self) -> GroupSequentialDesign | None:
        """At which numbers of sets a cell may be judged; None for a single one."""
        return looks_of(self.option)

    @cached_property
    def population(self) -> Population:
        """Of which groups of rows the verdicts speak, where rows come in groups."""
        return population_of(self.option)

    @cached_property
    def paths(self) -> RunPaths:
        """Where the run reads and writes."""
        return paths_of(self.option, self.root)

    @cached_property
    def record(self) -> Record | None:
        """The verdicts that the run is compared with; None if there is no comparison.

        The shipped record holds cells that were judged at one number of sets, so a run
        with interim analyses is compared with it only if ``--expect`` says so. The same
        is true of a run whose verdicts speak of new groups of rows.
        """
        if self.option.raw or self.option.update_expected:
            return None
        is_special = self.looks is not None or self.population == "new groups"
        if is_special and self.option.expect is None:
            return None
        name = self.option.expect or "claims/expected.json"
        return Record(self.paths.expected, self.grid.settings, name=name)

    @cached_property
    def status_folder(self) -> Path:
        """Where the processes of this run write their progress."""
        if self._status_folder is not None:
            return Path(self._status_folder)
        folder = self.paths.store / f"run-{uuid.uuid4().hex[:12]}"
        try:
            folder.mkdir(parents=True)
        except OSError:  # the store is read-only
            return Path(tempfile.mkdtemp(prefix="probes-run-"))
        return folder

    @cached_property
    def status(self) -> ProgressFile:
        """The progress of this process."""
        return ProgressFile(self.status_folder, self.worker or "main")

    @cached_property
    def store(self) -> RunStore:
        """The store of observations; if it is read-only, they stay in memory."""
        return RunStore(self.paths.store)

    @cached_property
    def observer(self) -> TimeLimitedObserver:
        """Makes the observations of this process."""
        may_exit = self.worker is not None
        limit = TimeLimit(self.option.time_limit, may_exit=may_exit)
        return TimeLimitedObserver(
            self.store,
            limit=limit,
            announce=self.status.announce,
            report=self.status.report,
            sharing=RequestsByWork(lambda: self.requests()),
        )

    @cached_property
    def speed(self) -> MachineSpeed:
        """The speed of this machine, measured when it is asked for first."""
        settings = self.grid.settings
        return MachineSpeed.measure(settings.device, settings.dtype)

    @cached_property
    def estimator(self) -> Estimator:
        """Estimates how long observations take, from the store as it is now."""
        return Estimator(self.store, self.key_of)

    @cached_property
    def n_workers(self) -> int:
        """How many processes measure."""
        engine = self.option.engine
        if engine is None:
            return getattr(self.option, "n_workers", 1)
        n_workers = parse_engine(engine).n_workers
        return n_workers or self.auto_workers

    @cached_property
    def auto_workers(self) -> int:
        """How many processes measure if no number is given."""
        return workers_that_fit(self.grid.models, self.grid.settings.device)

    @cached_property
    def budget_choice(self) -> BudgetChoice:
        """What the budget leaves out; nothing before cells are chosen."""
        return BudgetFile(self.status_folder).read() or BudgetChoice()

    def note_unanswerable(self, reasons: list[tuple[str, str]]) -> None:
        """Note the cells that no model can answer: their models, and why."""
        self.unanswerable = unanswerable_lines(reasons)
        if self.worker == "gw0":  # the process with the terminal collects nothing
            write_text("\n".join(self.unanswerable), self.status_folder / UNANSWERABLE)

    @cached_property
    def unanswerable(self) -> list[str]:
        """The cells that were left out because no model can answer them, in words."""
        path = self.status_folder / UNANSWERABLE
        return path.read_text("utf-8").splitlines() if path.exists() else []

    @cached_property
    def shortages(self) -> list[str]:
        """The cells that will be errors because there are too few rows, in words.

        The rows of the default matrix are enough for its sizes, and are not read.
        """
        has_sizes = row_counts(self.grid.settings) != row_counts(Settings())
        if has_sizes or self.option.datasets or self.option.demos:
            return shortage_lines(self.grid)
        return []

    def choose_cells(self, cells: list[PlannedCell]) -> BudgetChoice:
        """Choose the cells that the budget is enough for, the same in every process."""
        seconds, given = parse_budget(self.option.budget), self.option.budget
        if seconds is not None:
            budget = Budget(
                seconds, self.estimator, self.speed, n_workers=self.n_workers
            )
            BudgetFile(self.status_folder).agree(budget, given, cells)
        return self.budget_choice

    def check(self) -> None:
        """Check every option before anything is collected.

        Raises:
            ProbesError: An option, the device, a model or the report's folder cannot be
                used, the rows of a dataset cannot be read, or no model of the grid
                reads any dataset of the grid.
        """
        _ = self.grid, self.looks, self.population, self.paths, self.record
        if parse_budget(self.option.budget) and self.option.shard:
            raise OptionError(
                f"--budget {self.option.budget} and --shard {self.option.shard} were "
                f"both given. Expected one of them: machines of different speed would "
                f"leave out different cells. Leave one out."
            )
        TimeLimit(self.option.time_limit)
        if self.option.store is not None and not self.paths.store.is_dir():
            Store(self.paths.store)  # raises now if the folder cannot be made
        if self.worker is not None:
            return
        note_upgrades(self.store)  # warns now, also if the folder cannot be written
        if self.option.engine is not None:
            parse_engine(self.option.engine)
        if self.option.shard is not None:
            parse_shard(self.option.shard)
        if self.is_narrowed and not self.grid.can_exist:
            raise OptionError(self.grid.no_cell())
        require_needs(self.grid, self.option, self.paths.reports)

    @property
    def is_narrowed(self) -> bool:
        """Whether ``--models`` or ``--datasets`` was given."""
        return bool(self.option.models or self.option.datasets)

    def plan(self, requests: Iterable[Request]) -> None:
        """Add the observations that the run needs to the plan, each once."""
        for request in requests:
            key = self.key_of(request)
            if key is not None:
                self.planned.setdefault(key, request)
        stored = sum(key in self.store for key in self.planned)
        self.status.plan(len(self.planned), stored)

    def key_of(self, request: Request) -> str | None:
        """Compute a request's key, once for equal requests.

        Returns:
            The key; None if it cannot be computed. The request's own cell reports why.
        """
        if request not in self._keys:
            self._keys[request] = content_key(request)
        return self._keys[request]

    def plan_lines(
        self, cells: Collection[str], certain: Iterable[Request]
    ) -> list[str]:
        """Write what the run would measure, and which cells it could decide.

        Args:
            cells: Names of its cells.
            certain: What it measures even if no model learns in context.
        """
        work = plan_work(self.planned.values(), self.estimator)
        least = plan_work(certain, self.estimator)
        n_workers = self.auto_workers
        earlier = self.paths.reports / "results.jsonl"
        rows = read_results(earlier) if earlier.is_file() else []
        power = power_lines(rows, cells=cells, settings=self.grid.settings)
        table = work_lines(len(cells), work, least, self.speed, n_workers=n_workers)
        left_out = [*self.shortages, *self.unanswerable, *self.budget_choice.lines]
        table += gpu_lines(self.planned.values(), self.estimator, self.grid.settings)
        return [*table, *left_out, *look_lines(self.looks), "", *power]
