"""Which processes a run has, found in /proc, and their end."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

WORKER_MARKS = ("probes.engine.worker", "sys.stdin.readline", "ray::Remote")
"""What is in the command lines of the workers of the engines and of xdist."""


def family(root: int) -> list[int]:
    """List the descendants of a process, parents before children."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            if after_name[0] != "Z":
                children.setdefault(int(after_name[1]), []).append(int(folder.name))
    found, new = [], [root]
    while new:
        new = [child for parent in new for child in children.get(parent, [])]
        found += new
    return found


def is_worker(pid: int) -> bool:
    """Say whether a process measures observations."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return False
    return any(mark in line for mark in WORKER_MARKS)


def workers(*roots: int) -> list[int]:
    """List the workers among the descendants of some processes."""
    return [pid for root in roots for pid in family(root) if is_worker(pid)]


def kill(*pids: int) -> int:
    """Kill processes as a system out of memory does; say how many were there."""
    n_killed = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            n_killed += 1
    return n_killed
