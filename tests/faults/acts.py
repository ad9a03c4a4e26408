"""The faults: each strikes a run and says what it did.

An act gets a stage, begins a run on it and strikes; it returns how often it struck. The
run after it is begun by the caller of the act, with nothing ordered any more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.damages import DAMAGES
from tests.faults.processes import kill
from tests.faults.stage import CRAMPED, Play, Running, Stage
from tests.faults.strike import Strike

LIMIT = 3.0
"""Seconds an observation may take while one hangs; it takes a tenth on a quiet core."""


@dataclass(frozen=True, kw_only=True)
class Act:
    """A fault, what it is played on, and how far numbers may be off for rounding."""

    strike: Callable[[Stage], Strike]
    play: Play | None = None
    rounding: float = 0.0


def worker_killed(stage: Stage) -> Strike:
    """Kill a worker twice while it measures."""
    run, n = stage.start(), 0
    whole: set[str] = set()
    for share in (0.2, 0.5):
        if stage.wait_for_share(share, run):
            n += kill(*stage.workers(run)[-1:])
            whole = stage.held()
    stage.finish(run)
    return Strike(n=n, how="kill -9 of one worker, twice", whole=whole, in_flight=2 * n)


def node_killed(stage: Stage) -> Strike:
    """Kill a Ray node with its actors; elsewhere every worker at once."""
    run = stage.start()
    stage.wait_for_share(0.3, run)
    whole = stage.held()
    if stage.cluster is not None:
        n, how = 1, "kill -9 of a node's raylet and all its children"
        in_flight = 2 * stage.cluster.kill_node()
    else:
        in_flight = kill(*stage.workers(run))
        n, how = 1, f"kill -9 of all {in_flight} workers at once"
    stage.finish(run)
    if stage.cluster is not None:
        stage.cluster.add()
    return Strike(n=n, how=how, whole=whole, in_flight=in_flight)


def controller_killed(stage: Stage) -> Strike:
    """Kill the process that pytest was started as."""
    run = stage.start()
    stage.wait_for_share(0.3, run)
    n = kill(run.pid)
    stage.finish(run)
    _wait_for_orphans(stage)
    return Strike(n=n, how="kill -9 of the controller", whole=stage.held(), in_flight=4)


def _wait_for_orphans(stage: Stage) -> None:
    """Wait until what outlives a controller has ended too, as all workers must."""
    quiet, before, deadline = 0, -1, time.monotonic() + 30
    while quiet < 10 and time.monotonic() < deadline:
        time.sleep(0.1)
        now = len(stage.noted("begin")) + len(stage.held())
        quiet, before = (quiet + 1 if now == before else 0), now


def disk_full(stage: Stage) -> Strike:
    """Let every write fail once a third of the observations is stored."""
    stage.order(
        fault="disk_full", most=len(stage.held()) + stage.play.n_observations // 3
    )
    run = stage.start()
    stage.finish(run)
    n_kept = len(stage.held() & stage.begun())
    broken = _unless_told(stage, "No space left on device")
    return Strike(
        n=stage.play.n_observations - n_kept,
        how="ENOSPC when an entry is flushed, from a third of the plan on",
        whole=stage.held(),
        in_flight=stage.play.n_observations - n_kept,
        broken=[*broken, *_unless_complete(stage)],
    )


def read_only_store(stage: Stage) -> Strike:
    """Let every change in the store be refused, after a third of it was filled."""
    part = stage.start("--shard", "1/3")
    stage.finish(part)
    whole = stage.held()
    stage.order(fault="read_only")
    stage.finish(stage.start())
    n = stage.play.n_observations - len(whole & stage.begun())
    broken = _unless_told(stage, "Read-only file system")
    if stage.held() != whole:
        broken.append("a store that is only read has changed")
    return Strike(
        n=n,
        how="EROFS for every change in the store, a third of it filled",
        whole=whole,
        in_flight=n,
        broken=[*broken, *_unless_complete(stage)],
    )


def clock_jumps(stage: Stage) -> Strike:
    """Let the wall clock jump by a day or a month ten times a second."""
    stage.order(fault="clock")
    started = time.monotonic()
    stage.finish(stage.start())
    n = int((time.monotonic() - started) / 0.1)
    for place, path in enumerate(sorted(stage.store.glob("??/*.safetensors"))):
        jump = (-1) ** place * 90 * 86_400
        os.utime(path, (time.time() + jump,) * 2)
    return Strike(
        n=n,
        how="time.time() jumps by a day or a month, ten times a second; entries dated "
        "three months ahead and back",
        whole=stage.held(),
        broken=_unless_complete(stage),
    )


def gpu_out_of_memory(stage: Stage) -> Strike:
    """Let batches of more than three prompts not fit; then let not one fit."""
    stage.order(room=3)
    stage.finish(stage.start())
    n = len(stage.noted("full"))
    broken = _unless_complete(stage)
    if not n:
        broken.append("no batch was ever too large")
    return Strike(
        n=n,
        how="torch.OutOfMemoryError for every batch of more than 3 prompts",
        whole=stage.held(),
        broken=broken,
    )


def hung_model(stage: Stage) -> Strike:
    """Let one observation hang in Python, and one where no alarm is heard."""
    stage.order(hang=("softly", "hard"))
    stage.finish(stage.start("--time-limit", str(LIMIT)))
    return Strike(
        n=2,
        how=f"one observation sleeps, one computes without coming back to Python; "
        f"--time-limit {LIMIT:g}",
        whole=stage.held(),
        in_flight=2,
    )


def ctrl_c(stage: Stage) -> Strike:
    """Do what Ctrl-C does in the middle of a run."""
    run = stage.start()
    stage.wait_for_share(0.3, run)
    stage.interrupt(run)
    stage.finish(run)
    broken = []
    if run.returncode != 2:
        broken.append(f"exit status {run.returncode} and not 2")
    if stage.summary().get("complete") is not False:
        broken.append("the report does not say that it is partial")
    _wait_for_orphans(stage)
    return Strike(
        n=1, how="SIGINT to the process group", whole=stage.held(), in_flight=4,
        broken=broken,
    )  # fmt: skip


def damaged_entries(stage: Stage) -> Strike:
    """Damage stored entries in six ways between two runs."""
    stage.finish(stage.start())
    entries = sorted(p for p in _files(stage) if p.stem in stage.begun())
    picked = entries[:: max(1, len(entries) // len(DAMAGES))][: len(DAMAGES)]
    other = entries[-1].read_bytes()
    for path, damage in zip(picked, DAMAGES, strict=True):
        path.write_bytes(damage(path.read_bytes(), other))
    return Strike(
        n=len(picked),
        how="entries torn, cut by a byte, one bit flipped, replaced by another's, "
        "emptied, foreign",
        whole=stage.held() - {path.stem for path in picked},
        in_flight=len(picked),
    )


def _files(stage: Stage) -> list[Path]:
    return list(stage.store.glob("??/*.safetensors"))


def two_runs_at_once(stage: Stage) -> Strike:
    """Start two runs on one store at the same time."""
    runs: list[Running] = [stage.start(reports=r) for r in ("reports", "others")]
    for run in runs:
        stage.finish(run)
    broken = [] if stage.rows() == stage.rows("others") else ["their rows differ"]
    return Strike(
        n=1, how="two runs on one store at once", whole=stage.held(), broken=broken
    )


def _unless_complete(stage: Stage) -> list[str]:
    return [] if stage.summary()["complete"] else ["the run is not complete"]


def _unless_told(stage: Stage, words: str) -> list[str]:
    printed = (stage.folder / f"printed-{stage.n_runs}").read_text()
    return [] if words in printed else [f"the run does not say {words!r}"]


ACTS: dict[str, Act] = {
    "worker killed": Act(strike=worker_killed),
    "node killed": Act(strike=node_killed),
    "controller killed": Act(strike=controller_killed),
    "disk full": Act(strike=disk_full),
    "read-only store": Act(strike=read_only_store),
    "clock jumps": Act(strike=clock_jumps),
    # Batches of another size sum in another order, and float32 keeps seven digits: an
    # effect moves by 2e-8. An interval's bound magnifies that through the degrees of
    # freedom: it moved by 1.6e-6, above the 1e-6 that was set before it was seen.
    "GPU out of memory": Act(strike=gpu_out_of_memory, play=CRAMPED, rounding=1e-5),
    "hung model": Act(strike=hung_model),
    "Ctrl-C": Act(strike=ctrl_c),
    "damaged entries": Act(strike=damaged_entries),
    "two runs at once": Act(strike=two_runs_at_once),
}
