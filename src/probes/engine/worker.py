"""A process that measures requests one at a time: ``python -m probes.engine.worker``.

It reads frames from its standard input and writes results to its standard output.
Nothing else may write there. If the process that started it is gone, it ends at once.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import tempfile
import threading
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from probes.engine.observation_file import encode_observation
from probes.engine.protocol import RequestResult, receive, send
from probes.engine.request_json import request_from_json
from probes.engine.run_store import RunStore
from probes.engine.store import StoreWarning
from probes.engine.time_limit import TimeLimit, TimeLimitedObserver
from probes.errors import EngineError, ProbesError


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """What a worker must know before its first request.

    Attributes:
        store: The folder of the store.
        marker: A folder that the run has made. A worker that does not see it is on a
            machine that shares no files with the run, and sends what it measures.
        seconds: The time limit of one observation; None: no limit.
        path: Where Python looks for modules.
    """

    store: str
    marker: str
    seconds: float | None
    path: tuple[str, ...]

    @classmethod
    def of_this_process(
        cls, *, store: Path, marker: Path, seconds: float | None
    ) -> WorkerSettings:
        """Let a worker look for modules where this process does."""
        return cls(
            store=str(store), marker=str(marker), seconds=seconds, path=tuple(sys.path)
        )

    def to_json(self) -> str:
        """Write the settings as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> WorkerSettings:
        """Read the settings from JSON."""
        values: dict[str, Any] = json.loads(text)
        return cls(**values | {"path": tuple(values["path"])})


class Worker:
    """Measures requests and reports their results.

    Args:
        settings: Where it stores, where it finds modules, and its time limit.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        sys.path += [place for place in settings.path if place not in sys.path]
        self.is_remote = not Path(settings.marker).is_dir()
        own_store = tempfile.mkdtemp(prefix="probes-") if self.is_remote else None
        self.store = RunStore(Path(own_store or settings.store))
        limit = TimeLimit(settings.seconds, may_exit=True)
        self.observer = TimeLimitedObserver(self.store, limit=limit)
        self._measured: set[str] = set()
        self._reused: set[str] = set()
        self._n_forward = 0

    def measure(self, text: str, key: str, others: Sequence[str] = ()) -> RequestResult:
        """Measure one request, and others if they share its work.

        Args:
            text: The request, as JSON.
            key: The key that the run computed for it.
            others: Requests that share its work, as JSON.
        """
        error: tuple[str, str] | None = None
        with warnings.catch_warnings(record=True) as caught:
            try:
                request = request_from_json(text)
                _require_same(request.key, key)
                shared = list(map(request_from_json, others))
                self.observer.sharing = lambda work: shared
                self.observer.observe(request)
            except ProbesError as fault:
                error = type(fault).__name__, str(fault)
            except Exception as fault:  # a bug is reported and does not end the worker
                error = type(fault).__name__, str(fault)
        notes = [str(w.message) for w in caught if issubclass(w.category, StoreWarning)]
        return self._since_last(key, error, tuple(notes))

    def _since_last(
        self, key: str, error: tuple[str, str] | None, notes: tuple[str, ...]
    ) -> RequestResult:
        """Report what was measured since the last report."""
        observer = self.observer
        measured = sorted(observer.measured - self._measured)
        unsaved = measured if self.is_remote else self.store.unsaved & {*measured}
        unsent = [(k, o) for k in unsaved if (o := observer.recall(k)) is not None]
        result = RequestResult(
            key=key,
            measured=tuple(measured),
            reused=tuple(sorted(observer.reused - self._reused)),
            n_forward=observer.n_forward - self._n_forward,
            error=error,
            notes=notes,
            entries=tuple((k, encode_observation(o)) for k, o in unsent),
        )
        self._measured |= observer.measured
        self._reused |= observer.reused
        self._n_forward = observer.n_forward
        return result


def _require_same(ours: str, theirs: str) -> None:
    if ours != theirs:
        raise EngineError(
            f"A worker's key of a request is {ours}, and the run's is {theirs}. "
            f"Expected the same code, rows and weights on every machine. Install one "
            f"version everywhere."
        )


def serve(requests: IO[bytes], results: IO[bytes]) -> None:
    """Measure the requests of a stream until the stream ends."""
    first = receive(requests)
    if first is None:
        return
    worker = Worker(WorkerSettings.from_json(first[0]))
    send(results, "ready")
    frames: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(requests, frames), daemon=True).start()
    while True:
        frame = json.loads(frames.get())
        result = worker.measure(frame["request"], frame["key"], frame["others"])
        send(results, *result.to_frame())


def _listen(requests: IO[bytes], frames: queue.Queue[str]) -> None:
    try:
        while (frame := receive(requests)) is not None:
            frames.put(frame[0])
    finally:
        os._exit(0)  # nobody waits for the result; the exit releases any lock


def serve_standard_streams() -> None:
    """Serve the pipes that this process was started with."""
    results = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # where libraries print
    serve(sys.stdin.buffer, results)


if __name__ == "__main__":
    serve_standard_streams()
