"""Runs of the claims with planted truths: one process of pytest for each.

A run judges the cells of one part with one plant and one seed, which redraws all rows
and tasks. A study takes days. So its runs are kept in files that are small enough to be
committed, one line a run, and the study goes on where it stopped, also elsewhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from probes.calibration.planted_cells import PARTS, PlantedCells
from probes.calibration.plants import PLANTS
from probes.calibration.redrawn_sets import read_redraws
from probes.errors import EngineError, OptionError
from probes.results.reading import read_results
from probes.results.rows import write_text

PLUGIN = "probes.pytest_plugin.planting"
QUIET = "ignore::pytest.PytestAssertRewriteWarning"
"""The plugin's package is imported a moment before pytest would rewrite its asserts."""
JUDGED = (0, 1)
"""Exit statuses of pytest with a report: no test failed, or some did, as refuted ones
without a record do."""
LONGEST_TAIL = 2000
KEPT = ("claim", "model", "dataset", "verdict", "alone", "verdicts", "corrected")


@dataclass(frozen=True, kw_only=True)
class PlantedRun:
    """The verdicts of one run.

    Attributes:
        part: Name of its cells.
        plant: Name of its plant.
        seed: Seed of everything that was drawn.
        commit: The version of the code that judged; None if it is not known.
        machine: The machine and the versions of libraries, in words.
        rows: For each cell some fields of its result row; of a cell that was judged
            often, how often it got each verdict.
    """

    part: str
    plant: str
    seed: int
    commit: str | None
    machine: str = ""
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class PlantedStudy:
    """The runs that a study needs, and the folder that keeps them.

    Attributes:
        folder: Where verdicts are kept, one file for each part.
        stores: Where observations lie while a seed runs.
        root: The folder with ``claims/`` and the configuration of pytest.
        n_seeds: Seeds 1, 2, ….
        parts: The cells; all parts of a seed run before the next seed.
        plants: Names of the plants.
    """

    folder: Path
    stores: Path
    root: Path = Path()
    n_seeds: int = 20
    parts: tuple[PlantedCells, ...] = tuple(PARTS.values())
    plants: tuple[str, ...] = tuple(PLANTS)
    _writing: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def run(self, *, processes: int) -> None:
        """Make the runs that are missing, and print the progress.

        Raises:
            OptionError: There are no claims below the root.
            EngineError: A run ended without a report.
        """
        if not (self.root / "claims").is_dir():
            raise OptionError(
                f"{self.root.resolve()} has no folder claims/. Expected the folder of "
                f"the project, whose claims are judged. Change into it."
            )
        groups = [
            (part, seed) for seed in range(1, self.n_seeds + 1) for part in self.parts
        ]
        with ThreadPoolExecutor(processes) as pool:  # the runs are other processes
            for _ in pool.map(lambda group: self._run_seed(*group), groups):
                pass

    def _run_seed(self, cells: PlantedCells, seed: int) -> None:
        """Run the plants of one seed; they share what does not depend on the plant."""
        stores = self.stores / f"{cells.name.replace(' ', '_')}-{seed}"
        made = {(run.plant, run.seed) for run in _read(self.folder, cells.name)}
        for number, plant in enumerate(self.plants):
            can_answer = PLANTS[plant].can_answer(
                cells.family, open_answers=cells.open_answers
            )
            if not can_answer or (plant, seed) in made:
                continue
            began = time.monotonic()
            own = stores / str(number)
            rows = self._judge(cells, plant, seed, own, stores / "shared")
            with self._writing:
                _keep(self.folder, _run_of(cells.name, plant, seed, rows))
            shutil.rmtree(own, ignore_errors=True)
            seconds = time.monotonic() - began
            line = f"[{seconds:.0f} s] {cells.name}, seed {seed}: {plant}"
            print(line, file=sys.stderr, flush=True)
        shutil.rmtree(stores, ignore_errors=True)

    def _judge(
        self, cells: PlantedCells, plant: str, seed: int, own: Path, shared: Path
    ) -> list[dict[str, Any]]:
        command = [
            *(sys.executable, "-m", "pytest", *cells.arguments, "-q", "--raw"),
            *("-p", "no:xdist", "-p", "no:cacheprovider", "-p", PLUGIN, "-W", QUIET),
            *("--plant", plant, "--shared-store", str(shared.resolve())),
            *("--seed", str(seed), "--store", str((own / "store").resolve())),
            *("--reports", str((own / "report").resolve())),
            *("--redraws", str(cells.redraws)),
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment.pop("PYTEST_ADDOPTS", None)
        ended = subprocess.run(
            command,
            cwd=self.root,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if ended.returncode not in JUDGED:
            raise EngineError(
                f"The run of {cells.name} with the plant {plant!r} and seed {seed} "
                f"ended with status {ended.returncode}. Expected a report of its "
                f"cells. Its last lines: {ended.stdout[-LONGEST_TAIL:]}"
            )
        rows = read_results(own / "report" / "results.jsonl")
        if not cells.redraws:
            return rows
        made = {"provenance": rows[0]["provenance"]}
        return [{**counts, **made} for counts in read_redraws(own / "report")]


def _run_of(part: str, plant: str, seed: int, rows: list[dict[str, Any]]) -> PlantedRun:
    """Keep the fields of a run's rows that the tables need."""
    made = rows[0]["provenance"]
    versions = [f"{name} {version}" for name, version in made["versions"].items()]
    return PlantedRun(
        part=part,
        plant=plant,
        seed=seed,
        commit=made["commit"],
        machine=", ".join([made["machine"], *versions]),
        rows=tuple({name: row[name] for name in KEPT if name in row} for row in rows),
    )


def finished_runs(folder: Path) -> Iterator[PlantedRun]:
    """Read every run that a folder keeps, in the order of parts, plants and seeds."""
    for part in PARTS:
        yield from _read(folder, part)


def _keep(folder: Path, run: PlantedRun) -> None:
    """Put a run among those of its part, in order."""
    runs = sorted([*_read(folder, run.part), run], key=_place)
    lines = "".join(json.dumps(asdict(run)) + "\n" for run in runs)
    write_text(lines, _path(folder, run.part))


def _read(folder: Path, part: str) -> list[PlantedRun]:
    path = _path(folder, part)
    if not path.is_file():
        return []
    kept = map(json.loads, path.read_text("utf-8").splitlines())
    return [PlantedRun(**{**run, "rows": tuple(run["rows"])}) for run in kept]


def _path(folder: Path, part: str) -> Path:
    """Return the file that keeps the runs of a part."""
    return folder / f"{part.replace(' ', '_').replace(',', '')}.jsonl"


def _place(run: PlantedRun) -> tuple[int, int]:
    return list(PLANTS).index(run.plant), run.seed
