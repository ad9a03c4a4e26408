"""``python -m tests.faults``: the fault matrix, kills at random, sizes and speeds.

Writes ``summary.json`` and ``README.md`` into a folder, as each experiment ends.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tests.faults.acts import ACTS
from tests.faults.cluster import Cluster, is_installed
from tests.faults.kills import kill_at_random, never_hangs
from tests.faults.matrix import Matrix, Result
from tests.faults.scale import QUICK, Figure, Size, figures
from tests.faults.stage import ROOT, Play, environment
from tests.faults.summary import Summary

ENGINES = ("local", "xdist", "ray")
KILLS = {"local": 70, "xdist": 40}
"""Together more than a hundred; each costs the start of a worker or of a run."""
LONG = 50
"""Numbers of demonstrations, 20 observations each, in the play that is killed at
random: 70 kills let about 700 observations pass, more on a quicker machine."""
TURNS = 20  # runs of four workers of which one is killed


def main(arguments: Sequence[str] | None = None) -> int:
    """Play everything.

    Returns:
        The exit status: 1 if a fault was not survived or a bound was missed.
    """
    asked = _parser().parse_args(arguments)
    # What a shell starts in the background ignores Ctrl-C, and so do its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    home = Path(tempfile.mkdtemp(prefix="probes-faults-"))
    summary = Summary(asked.out, is_quick=asked.quick)
    try:
        for found in _everything(home, asked, summary):
            summary.take(found)
    finally:
        if asked.keep:
            print(f"Scenes are in {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)
    return int(not summary.holds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the same in small")
    parser.add_argument("--engines", default=",".join(ENGINES), help="some of them")
    parser.add_argument("--faults", default=",".join(ACTS), help="some of them")
    parser.add_argument("--parts", default="faults,kills,scale", help="some of them")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "faults")
    parser.add_argument("--keep", action="store_true", help="keep what runs wrote")
    return parser


def _everything(
    home: Path, asked: argparse.Namespace, summary: Summary
) -> Iterator[Result | Figure]:
    engines = tuple(asked.engines.split(","))
    if "ray" in engines and not is_installed():
        summary.leave_out("ray", "Ray is not installed; pip install -e '.[ray]'")
        engines = tuple(engine for engine in engines if engine != "ray")
    parts = asked.parts.split(",")
    if "faults" in parts or "kills" in parts:
        yield from _faults(home, engines, asked)
    if "scale" in parts:
        scale = home / "scale"
        scale.mkdir()
        size = QUICK if asked.quick else Size()
        yield from figures(scale, size, engines=engines)


def _faults(
    home: Path, engines: tuple[str, ...], asked: argparse.Namespace
) -> Iterator[Result]:
    cluster = None
    if "ray" in engines and "faults" in asked.parts:
        cluster = Cluster(environment(home), home)
    try:
        if cluster is not None:
            cluster.add()
        matrix = Matrix(home, Play.laboured(1 if asked.quick else 2), cluster)
        if "faults" in asked.parts:
            yield from matrix.play_all(engines, asked.faults.split(","))
        if "kills" in asked.parts:
            yield from _kills(matrix, engines, asked)
    finally:
        if cluster is not None:
            cluster.stop()


def _kills(
    matrix: Matrix, engines: tuple[str, ...], asked: argparse.Namespace
) -> Iterator[Result]:
    long = Play.laboured(6 if asked.quick else LONG)
    for engine, n in KILLS.items():
        if engine in engines:
            n_kills = 6 if asked.quick else n
            yield matrix.play_strike(
                "killed at random",
                engine,
                long,
                lambda stage, n=n_kills: kill_at_random(stage, n_kills=n, seed=0),
            )
    if "xdist" in engines:
        n_times = 2 if asked.quick else TURNS
        started = time.monotonic()
        strike = never_hangs(matrix.home, n_times=n_times, seeds=matrix.seeds)
        yield replace(
            Result.of("one of four killed", "xdist", strike),
            seconds=round(time.monotonic() - started, 1),
        )


if __name__ == "__main__":
    sys.exit(main())
