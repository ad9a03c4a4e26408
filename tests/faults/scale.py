"""How large and how fast: a plan of ten thousand cells, stored cells, engines.

Each figure is given with its bound. Times of observations are read off the log that
their learner writes, so that starts and reports do not count. A busy machine misses
bounds; the table then says so.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.cluster import Cluster
from tests.faults.stage import ROOT, Play, Stage, environment


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A measured number with its bound.

    Attributes:
        name: What was measured.
        value: The number.
        unit: Its unit.
        bound: What it is held to.
        holds: Whether it is kept.
    """

    name: str
    value: float
    unit: str
    bound: str
    holds: bool


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured.

    Attributes:
        n_planned: Numbers of demonstrations of the planned grid: 1,980 cells each.
        n_judged: Likewise of the judged one: 10 cells each.
        n_idle: Likewise of idle observations on Ray: 20 each.
        n_laboured: Likewise of those that take time: 20 each.
        n_killed: Likewise for the run whose node is killed.
    """

    n_planned: int = 6
    n_judged: int = 100
    n_idle: int = 25
    n_laboured: int = 12
    n_killed: int = 25


QUICK = Size(n_planned=1, n_judged=30, n_idle=3, n_laboured=2, n_killed=3)


def planning(home: Path, size: Size) -> Iterator[Figure]:
    """Time ``--plan`` on every shipped model, dataset and claim, and its memory."""
    demos = ",".join(str(n + 1) for n in range(size.n_planned))
    grid = ("--demos", demos, "--grid", "full", "--plan")
    words = (sys.executable, "-m", "pytest", "claims/", "-q", "-p", "no:cacheprovider")
    places = ("--store", home / "none", "--reports", home / "none-either")
    started, printed = time.monotonic(), home / "planned"
    with printed.open("wb") as file:
        child = os.posix_spawn(
            sys.executable,
            [*words, *grid, *map(str, places)],
            {**environment(home), "PWD": str(ROOT)},
            file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), 1)],
        )
        _, status, used = os.wait4(child, 0)
    seconds = time.monotonic() - started
    first = next(line for line in printed.read_text().splitlines() if "cells" in line)
    n_cells = int(first.split()[0])
    bound = 10.0 * max(1.0, n_cells / 10_000)
    name = f"collect and plan {n_cells} cells, {first.split(' need ')[1].split()[0]}"
    yield Figure(
        name=f"{name} observations",
        value=round(seconds, 2),
        unit="s",
        bound=f"≤ {bound:.1f}",
        holds=status == 0 and seconds <= bound,
    )
    memory = used.ru_maxrss / 1024
    yield Figure(
        name="memory of that", value=round(memory), unit="MB", bound="≤ 500",
        holds=memory <= 500,
    )  # fmt: skip


def judging(home: Path, size: Size) -> Iterator[Figure]:
    """Count the processor's time for judging stored cells: of many, less of few."""
    many, few = (
        Play.laboured(n, test="test_idle") for n in (size.n_judged, 1)
    )  # few are among the many
    stage = Stage(home, "judged", many, "none")
    stage.finish(stage.start())
    seconds = []
    for play in (many, few):
        stage.play = play
        before = _busy()
        stage.finish(stage.start())
        seconds.append(_busy() - before)
    n_more = (many.n_observations - few.n_observations) // 2
    rate = n_more / max(1e-9, seconds[0] - seconds[1])
    yield Figure(
        name=f"judge {n_more} stored cells, with their part of the report",
        value=round(rate), unit="cells/s", bound="≥ 200", holds=rate >= 200,
    )  # fmt: skip


def _busy() -> float:
    """Give the seconds that cores spent on runs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def span(stage: Stage, *more: str) -> float:
    """Run, and give the seconds between the first begin and the last end."""
    stage.finish(stage.start(*more))
    times = [float(line.split()[2]) for line in stage.log.read_text().splitlines()]
    return max(times) - min(times)


def speeding(home: Path, engine: str, size: Size) -> Iterator[Figure]:
    """Compare two workers with one on observations that compute."""
    option = {"local": "--engine", "xdist": "-n"}[engine]
    words = {"local": "local:{}", "xdist": "{}"}[engine]
    play = Play.laboured(size.n_laboured)
    one, two = (
        span(Stage(home, f"speed-{n}", play, engine), option, words.format(n))
        for n in (1, 2)
    )
    yield _speed_up(engine, one, two)


def _speed_up(engine: str, one: float, two: float) -> Figure:
    return Figure(
        name=f"speed-up from 1 to 2 workers, {engine}",
        value=round(one / two, 2), unit="times", bound="≥ 1.7", holds=one / two >= 1.7,
    )  # fmt: skip


def on_ray(home: Path, size: Size) -> Iterator[Figure]:
    """Measure Ray's overhead and speed-up, on one node and then on two."""
    play = Play.laboured(size.n_laboured)
    idle = Play.laboured(size.n_idle, test="test_idle")
    cluster = Cluster(environment(home), home)
    try:
        # A part of a plan is measured in this process, and nothing is judged between.
        alone = span(Stage(home, "idle", idle, "none"), "--shard", "1/1")
        asked = span(Stage(home, "idle", idle, "ray", cluster=cluster))
        n = idle.n_observations
        yield Figure(
            name=f"overhead of Ray for each of {n} observations",
            value=round(1000 * (asked - alone) / n, 2), unit="ms", bound="≤ 10",
            holds=(asked - alone) / n <= 0.010,
        )  # fmt: skip
        one = span(Stage(home, "speed-1", play, "ray", cluster=cluster))
        cluster.add()
        two = span(Stage(home, "speed-2", play, "ray", cluster=cluster))
        yield _speed_up("ray", one, two)
        yield node_killed(home, cluster, size)
    finally:
        cluster.stop()


def node_killed(home: Path, cluster: Cluster, size: Size) -> Figure:
    """Kill a node in the middle of a plan, and count what the same run completes."""
    play = Play.laboured(size.n_killed)
    stage = Stage(home, "node-killed-in-500", play, "ray", cluster=cluster)
    run = stage.start()
    stage.wait_for_share(0.5, run)
    cluster.kill_node()
    stage.finish(run)
    n_kept = len(stage.held() & stage.begun())
    return Figure(
        name=f"of {play.n_observations} observations, completed though one of two "
        f"nodes was killed half-way",
        value=n_kept, unit="observations", bound=f"= {play.n_observations}",
        holds=n_kept == play.n_observations and stage.summary()["complete"],
    )  # fmt: skip


def figures(home: Path, size: Size, *, engines: tuple[str, ...]) -> Iterator[Figure]:
    """Measure everything, one after another."""
    yield from planning(home, size)
    yield from judging(home, size)
    for engine in ("local", "xdist"):
        yield from speeding(home, engine, size)
    if "ray" in engines:
        yield from on_ray(home, size)
