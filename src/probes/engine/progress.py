"""Show what is being measured, how much is done, and how long the rest will take.

Every worker writes a small status file, and the controller reads them all. It shows a
line every few seconds on a terminal, and rarely in a log.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from probes.observations.request import Request

SECONDS_BETWEEN = {True: 5.0, False: 30.0}  # on a terminal, in a log
GROWTH = {True: 1.0, False: 2.0}
"""Factor from one pause to the next. It keeps a log short: ten lines for a day."""
LINE_WIDTH = 100


class ProgressFile:
    """The status file of one process: what it measures, and how many it has begun.

    Args:
        folder: Where the processes of a run write; the controller removes it.
        name: The name of the process.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.json"
        self._state: dict[str, Any] = {
            "planned": 0,
            "stored": 0,
            "begun": 0,
            "doing": "",
            "detail": "",
        }
        folder.mkdir(parents=True, exist_ok=True)

    def plan(self, planned: int, stored: int) -> None:
        """Write how many observations the run needs, and how many are stored."""
        self._state.update(planned=planned, stored=stored)
        self._write()

    def announce(self, request: Request) -> None:
        """Write which observation is measured next."""
        self._state["begun"] += 1
        self.report(request, "")

    def report(self, request: Request, words: str) -> None:
        """Write how far an observation has come."""
        self._state["doing"] = (
            f"{_words(request.learner)} on {request.model.name}, "
            f"{request.dataset.name}, {request.n_demonstrations} demonstrations"
        )
        self._state["detail"] = words
        self._write()

    def _write(self) -> None:
        temporary = self._path.with_suffix(f".{os.getpid()}.part")
        with contextlib.suppress(OSError):  # progress must never stop a run
            temporary.write_text(json.dumps(self._state))
            temporary.replace(self._path)


def _words(learner: Any) -> str:
    name = type(learner).__name__
    detail = getattr(learner, "algorithm", None) or getattr(learner, "optimizer", None)
    return f"{name} ({detail})" if detail else name


class ProgressReporter:
    """Shows progress from the status files while a run is going on.

    Args:
        folder: Where the processes write.
        show: Called with each line.
        on_terminal: Whether lines may be frequent.
    """

    def __init__(
        self, folder: Path, show: Callable[[str], None], *, on_terminal: bool
    ) -> None:
        self.folder, self.show = folder, show
        self.pause = SECONDS_BETWEEN[on_terminal]
        self.growth = GROWTH[on_terminal]
        self._started = time.monotonic()
        self._last = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._show_often, daemon=True)

    def start(self) -> None:
        """Start showing progress."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and remove the status files."""
        self._stop.set()
        self._thread.join(timeout=2)
        for path in self.folder.glob("*"):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _show_often(self) -> None:
        while not self._stop.wait(self.pause):
            line = self.line()
            if line and line != self._last:
                self._last = line
                self.show(line)
                self.pause *= self.growth

    def line(self) -> str:
        """Write the present state in one line; empty if nothing is being measured."""
        states = []
        for path in sorted(self.folder.glob("*.json")):
            with contextlib.suppress(OSError, ValueError):
                states.append(json.loads(path.read_text()))
        begun = sum(state["begun"] for state in states)
        doing = [_doing(state) for state in states if state["doing"]]
        planned = max((state["planned"] for state in states), default=0)
        stored = max((state["stored"] for state in states), default=0)
        if not begun:
            return ""
        todo = max(planned - stored, begun)
        seconds = time.monotonic() - self._started
        left = seconds / begun * (todo - begun)
        line = (
            f"{bar(begun / todo)} [{begun}/{todo} observations, {stored} stored, about "
            f"{duration(left)} left] " + " | ".join(doing)
        )
        return line if len(line) <= LINE_WIDTH else line[: LINE_WIDTH - 1] + "…"


def _doing(state: Mapping[str, Any]) -> str:
    """Say what a process does; how far it has come stands first, as lines are cut."""
    detail = state["detail"]
    return f"{detail}: {state['doing']}" if detail else str(state["doing"])


def bar(share: float) -> str:
    """Draw a share between 0 and 1, in ten steps."""
    return "#" * int(10 * share) + "." * (10 - int(10 * share))


def duration(seconds: float) -> str:
    """Write a time in seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
