"""What is being measured, how far it is, and how long it will take.

Every worker writes a small status file; the controller reads them all. A line is shown
at most every few seconds on a terminal, rarely in a log.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from probes.observations.request import Request

SECONDS_BETWEEN = {True: 5.0, False: 30.0}  # on a terminal, in a log
GROWTH = {True: 1.0, False: 2.0}
"""A log stays short: each pause is so many times the last, a day is ten lines."""
LONGEST_LINE = 100


class Status:
    """One process's share: what it measures, and how many observations it has made.

    Args:
        folder: Where the processes of a run write; removed by the controller.
        name: The process.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.json"
        self._state: dict[str, Any] = {
            "planned": 0,
            "stored": 0,
            "begun": 0,
            "doing": "",
        }
        folder.mkdir(parents=True, exist_ok=True)

    def plan(self, planned: int, stored: int) -> None:
        """Tell how many observations the whole run needs, and how many are there."""
        self._state.update(planned=planned, stored=stored)
        self._write()

    def announce(self, request: Request) -> None:
        """Tell what is measured next."""
        self._state["begun"] += 1
        self._state["doing"] = (
            f"{_words(request.learner)} on {request.model.name}, "
            f"{request.dataset.name}, {request.n_demonstrations} demonstrations"
        )
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


class Reporter:
    """Shows progress from the status files while the run goes on.

    Args:
        folder: Where the processes write.
        show: Called with a finished line.
        on_terminal: Whether lines may come often.
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
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching and remove the status files."""
        self._stop.set()
        self._thread.join(timeout=2)
        for path in self.folder.glob("*"):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _watch(self) -> None:
        while not self._stop.wait(self.pause):
            line = self.line()
            if line and line != self._last:
                self._last = line
                self.show(line)
                self.pause *= self.growth

    def line(self) -> str:
        """Write the present state in one line; empty when nothing is measured."""
        states = []
        for path in sorted(self.folder.glob("*.json")):
            with contextlib.suppress(OSError, ValueError):
                states.append(json.loads(path.read_text()))
        begun = sum(state["begun"] for state in states)
        doing = [state["doing"] for state in states if state["doing"]]
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
        return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


def bar(share: float) -> str:
    """Draw a share of 1, in ten steps."""
    return "#" * int(10 * share) + "." * (10 - int(10 * share))


def duration(seconds: float) -> str:
    """Write a time in seconds or minutes."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
