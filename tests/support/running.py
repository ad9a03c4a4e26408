"""Runs the instrument as a user does, in a process of its own, and reads its report."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.spawning import python

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A finished run: exit status, what it printed, and its report's folder."""

    status: int
    text: str
    reports: Path
    rows: list[dict[str, Any]]
    run: dict[str, Any]


def command(folder: Path, *arguments: str) -> list[str]:
    places = ["--store", str(folder / "store"), "--reports", str(folder / "reports")]
    plain = ["-q", "-p", "no:cacheprovider", *places]
    return [sys.executable, "-m", "pytest", *plain, *arguments]


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment, less what would change or slow a run."""
    slow = "PYTHONDONTWRITEBYTECODE"  # a second a run, for compiling all anew
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", slow))}
    return {**kept, "OMP_NUM_THREADS": "1", **changes}


def as_installed() -> dict[str, str]:
    """Let a run in any folder find the package and its fixtures."""
    return environment(PYTHONPATH=os.pathsep.join((str(ROOT / "src"), str(ROOT))))


def run(folder: Path, *arguments: str, **changes: str) -> Ran:
    words = command(folder, *arguments)[1:]
    done = python(*words, cwd=ROOT, env=environment(**changes))
    reports = folder / "reports"
    results, summary = reports / "results.jsonl", reports / "run.json"
    lines = results.read_text("utf-8").splitlines() if results.exists() else []
    return Ran(
        status=done.returncode,
        text=done.stdout + done.stderr,
        reports=reports,
        rows=[json.loads(line) for line in lines],
        run=json.loads(summary.read_text("utf-8")) if summary.exists() else {},
    )
