"""Kills without order: workers and controllers at random times, until all is measured.

A plan is measured while something is killed every second or so. A controller that dies
or ends is started again. Then a run is left alone, and its rows are compared.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import time
from pathlib import Path

from tests.faults.processes import family, kill
from tests.faults.stage import Play, Running, Stage
from tests.faults.strike import Strike

CONTROLLER = 0.15
"""Share of kills that hit the controller, which costs a whole start."""
PAUSE = (0.0, 0.8)  # seconds between a sign of work and the kill, drawn uniformly
STARTED = 5.0  # seconds after which a kill no longer waits for a sign of work
HANG = 120.0
"""Seconds after which a run with a killed worker counts as hung; one takes ten."""


def kill_at_random(stage: Stage, *, n_kills: int, seed: int) -> Strike:
    """Kill workers and controllers at random.

    Each kill may repeat what its victim was measuring: one observation of a worker's,
    and one of each worker's where a controller dies and takes them along.
    """
    draw = random.Random(seed)
    run, n, in_flight, n_controllers = stage.start(), 0, 0, 0
    while n < n_kills:
        _wait_for_work(stage, run)
        time.sleep(draw.uniform(*PAUSE))
        if run.poll() is not None:
            if stage.is_measured():
                break
            run = stage.start()
            continue
        workers = stage.workers(run)
        if draw.random() < CONTROLLER:
            in_flight += max(1, len(workers))
            n, n_controllers = n + kill(run.pid), n_controllers + 1
        elif workers:
            in_flight += 1
            n += kill(draw.choice(workers))
    kill(*family(run.pid), run.pid)
    in_flight += 2
    stage.finish(run)
    short = f"all was measured after {n} of {n_kills} kills: the play is too short"
    return Strike(
        n=n,
        how=f"kill -9 at random times: {n - n_controllers} workers and "
        f"{n_controllers} controllers, each once something was measured again",
        whole=stage.held(),
        in_flight=in_flight,
        broken=[short] if n < n_kills else [],
    )


def _wait_for_work(stage: Stage, run: Running) -> None:
    """Wait until something is measured again, so that kills do not only hit starts."""
    deadline, n_begun = time.monotonic() + STARTED, len(stage.noted("begin"))
    stage.wait_for(
        lambda: len(stage.noted("begin")) > n_begun or time.monotonic() > deadline, run
    )


def never_hangs(home: Path, *, n_times: int, seeds: Path | None) -> Strike:
    """Run with four workers of xdist, kill one at a random time, and wait for the end.

    The play is small and the time is drawn over all of it: start, collection, tests.
    """
    draw, slow = random.Random(1), list[str]()
    n_killed, longest = 0, 0.0
    for turn in range(n_times):
        stage = Stage(home, f"hang-{turn}", Play.laboured(1), "xdist", seeds=seeds)
        started = time.monotonic()
        run = stage.start("-n", "4")
        n_killed += _kill_one(stage, run, draw)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(timeout=HANG)
        if run.poll() is None:
            kill(*family(run.pid), run.pid)
            slow.append(f"turn {turn} hung for {HANG} s")
        longest = max(longest, time.monotonic() - started)
    return Strike(
        n=n_killed,
        how=f"-n 4, kill -9 of a worker at a random time, {n_times} times; the longest "
        f"run took {longest:.0f} s",
        broken=slow,
    )


def _kill_one(stage: Stage, run: Running, draw: random.Random) -> int:
    """Kill a worker once there is one, after a part of the time that tests take."""
    stage.wait_for(lambda: len(stage.workers(run)) == 4, run)
    time.sleep(draw.uniform(0.0, 1.5))
    workers = stage.workers(run)
    return kill(draw.choice(workers)) if workers else 0
