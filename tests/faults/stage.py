"""One experiment: a run that a fault strikes, the run after it, and their outcome."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import control
from tests.faults.cluster import Cluster
from tests.faults.processes import family, kill, workers

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PATIENCE = 180.0
"""Seconds after which a run counts as hung: each takes a few, on a quiet machine."""
SIZES = ("--sets", "5", "--queries", "6", "--calibration", "6", "--orders", "3")
TOKEN = secrets.token_hex(32)
Running = subprocess.Popen[bytes]
UNLIKE = ("seconds", "provenance")  # what two runs of the same rows may differ in


@dataclass(frozen=True, kw_only=True)
class Play:
    """What is run: the claims, the grid, and how many observations that takes."""

    file: str
    grid: tuple[str, ...]
    n_observations: int

    @classmethod
    def laboured(cls, n_demos: int, *, models: str = "", test: str = "") -> Play:
        """Run claims that take a known time, two observations in each cell."""
        names = models or "constructed_gd_1,constructed_gd_4"
        demos = ",".join(str(n + 1) for n in range(n_demos))
        grid = ("--models", names, "--datasets", "linear", "--demos", demos)
        n = 10 * n_demos * (names.count(",") + 1)
        file = f"laboured.py::{test or 'test_laboured'}"
        return cls(file=file, grid=grid, n_observations=n)


CRAMPED = Play(
    file="cramped.py",
    grid=("--models", "hmm_llama", "--datasets", "hmm", "--demos", "4,8"),
    n_observations=4,
)


class Stage:
    """A folder with a store of its own, and runs in it.

    Args:
        home: The folder of the orders, which every process reads.
        name: Of the experiment.
        play: What is run.
        engine: "local", "xdist", "ray", or "none" for one process.
        cluster: The Ray nodes, for "ray".
        seeds: A store whose observations are there from the start.
    """

    def __init__(
        self,
        home: Path,
        name: str,
        play: Play,
        engine: str,
        *,
        cluster: Cluster | None = None,
        seeds: Path | None = None,
    ) -> None:
        self.home, self.play, self.engine = home, play, engine
        self.cluster = cluster
        self.folder = home / f"{name}-{engine}"
        self.store = self.folder / "store"
        self.log = self.folder / "log"
        self.n_runs = 0
        self.folder.mkdir()
        if seeds is not None:
            shutil.copytree(seeds, self.store)
        self.order()

    def order(self, **orders: Any) -> None:
        """Order a fault of every process of this experiment; without any, end it."""
        control.write(self.home, log=str(self.log), store=str(self.store), **orders)

    def start(self, *more: str, reports: str = "reports") -> Running:
        """Begin a run."""
        engines = {
            "local": ("--engine", "local:2"),
            "xdist": ("-n", "2"),
            "ray": ("--engine", f"ray:{self.cluster and self.cluster.address}"),
            "none": ("-n", "0"),
        }
        places = ("--store", self.store, "--reports", self.folder / reports)
        words = [sys.executable, "-m", "pytest", str(HERE / "claims" / self.play.file)]
        plain = ("-q", "-p", "no:cacheprovider", "--raw", *self.play.grid, *SIZES)
        self.n_runs += 1
        with (self.folder / f"printed-{self.n_runs}").open("wb") as printed:
            return subprocess.Popen(
                [*words, *plain, *map(str, places), *engines[self.engine], *more],
                cwd=ROOT,
                env=environment(self.home),
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )

    def finish(self, run: Running) -> None:
        """Wait for the end of a run.

        Raises:
            TimeoutError: It hangs; it is ended.
        """
        try:
            run.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            kill(*family(run.pid), run.pid)
            raise TimeoutError(f"{self.folder.name} hung for {PATIENCE} s") from None

    def wait_for(self, is_there: Callable[[], bool], run: Running) -> bool:
        """Wait until something is there while a run goes on; say whether it is."""
        deadline = time.monotonic() + PATIENCE
        while run.poll() is None and time.monotonic() < deadline:
            if is_there():
                return True
            time.sleep(0.01)
        return is_there()

    def wait_for_share(self, share: float, run: Running) -> bool:
        """Wait until a share of the observations is stored."""
        wanted = share * self.play.n_observations
        return self.wait_for(lambda: len(self.held() & self.begun()) >= wanted, run)

    def is_measured(self) -> bool:
        """Say whether every observation of the play is stored."""
        return len(self.held() & self.begun()) >= self.play.n_observations

    def workers(self, run: Running) -> list[int]:
        """List the processes that measure for a run."""
        if self.engine == "none":
            return [run.pid]
        return self.cluster.workers() if self._on_ray else workers(run.pid)

    @property
    def _on_ray(self) -> bool:
        return self.engine == "ray"

    def interrupt(self, run: Running) -> None:
        """Do what Ctrl-C does on a terminal."""
        os.killpg(run.pid, signal.SIGINT)

    def held(self) -> set[str]:
        """List the keys that are stored."""
        return {path.stem for path in self.store.glob("??/*.safetensors")}

    def noted(self, word: str) -> list[str]:
        """List the keys of the log's lines with a word."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.split()[0] for line in lines if line.split()[1] == word]

    def begun(self) -> set[str]:
        """List the keys that anybody began to measure."""
        return set(self.noted("begin"))

    def rows(self, reports: str = "reports") -> list[dict[str, Any]]:
        """Read the rows of the last run, without what two runs may differ in."""
        path = self.folder / reports / "results.jsonl"
        rows = map(json.loads, path.read_text("utf-8").splitlines())
        return [{k: v for k, v in r.items() if k not in UNLIKE} for r in rows]

    def summary(self, reports: str = "reports") -> dict[str, Any]:
        """Read what the last run says of itself."""
        text = (self.folder / reports / "run.json").read_text("utf-8")
        found: dict[str, Any] = json.loads(text)
        return found


def environment(home: Path) -> dict[str, str]:
    """Give processes the orders, the saboteur, and one thread each."""
    slow = "PYTHONDONTWRITEBYTECODE"  # a second a process, for compiling all anew
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", slow))}
    path: Sequence[str] = (
        str(HERE / "site"),
        str(ROOT / "src"),
        str(ROOT),
        *filter(None, [kept.get("PYTHONPATH", "")]),
    )
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # A token of somebody's other cluster, in ~/.ray, is not to decide over these.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        control.HOME: str(home),
    }
