"""A process that measures requests one at a time: ``python -m probes.engine.worker``.

It reads frames from its standard input and answers on its standard output, which
nothing else may write to. When whoever started it is gone, it ends at once.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import tempfile
import threading
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from probes.engine.observation_file import encode
from probes.engine.protocol import Answer, receive, send
from probes.engine.request_json import from_wire
from probes.engine.run_store import RunStore
from probes.engine.store import StoreWarning
from probes.engine.time_limit import Watch, WatchedObserver
from probes.errors import EngineError, ProbesError


@dataclass(frozen=True, kw_only=True)
class Post:
    """Where a worker stands.

    Attributes:
        store: The folder of the store.
        mark: A folder that whoever asks has made; a worker that does not see it is on
            a machine that shares no files with it, and sends what it measures.
        seconds: The time limit of one observation, or None.
        path: Where modules are looked for.
    """

    store: str
    mark: str
    seconds: float | None
    path: tuple[str, ...]

    @classmethod
    def here(cls, *, store: Path, mark: Path, seconds: float | None) -> Post:
        """Stand where this process stands."""
        return cls(
            store=str(store), mark=str(mark), seconds=seconds, path=tuple(sys.path)
        )

    def to_wire(self) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_wire(cls, text: str) -> Post:
        """Read it from JSON."""
        told: dict[str, Any] = json.loads(text)
        return cls(**told | {"path": tuple(told["path"])})


class Worker:
    """Measures requests and says what became of them.

    Args:
        post: Where it stands.
    """

    def __init__(self, post: Post) -> None:
        sys.path += [place for place in post.path if place not in sys.path]
        self.is_remote = not Path(post.mark).is_dir()
        folder = tempfile.mkdtemp(prefix="probes-") if self.is_remote else post.store
        self.store = RunStore(Path(folder))
        watch = Watch(post.seconds, is_replaced=True)
        self.observer = WatchedObserver(self.store, watch=watch)
        self._measured: set[str] = set()
        self._reused: set[str] = set()
        self._n_forward = 0

    def answer(self, text: str, key: str) -> Answer:
        """Measure one request.

        Args:
            text: The request, as JSON.
            key: The key that it has where it comes from.
        """
        error: tuple[str, str] | None = None
        with warnings.catch_warnings(record=True) as told:
            try:
                request = from_wire(text)
                _require_same(request.key, key)
                self.observer.observe(request)
            except ProbesError as fault:
                error = type(fault).__name__, str(fault)
            except Exception as fault:  # a bug: it is told and does not end the worker
                error = type(fault).__name__, str(fault)
        notes = [str(w.message) for w in told if issubclass(w.category, StoreWarning)]
        return self._since_last(key, error, tuple(notes))

    def _since_last(
        self, key: str, error: tuple[str, str] | None, notes: tuple[str, ...]
    ) -> Answer:
        done = self.observer
        measured = sorted(done.measured - self._measured)
        unsaved = measured if self.is_remote else self.store.unsaved & {*measured}
        kept = [(k, found) for k in unsaved if (found := done.recall(k)) is not None]
        answer = Answer(
            key=key,
            measured=tuple(measured),
            reused=tuple(sorted(done.reused - self._reused)),
            n_forward=done.n_forward - self._n_forward,
            error=error,
            notes=notes,
            entries=tuple((k, encode(found)) for k, found in kept),
        )
        self._measured |= done.measured
        self._reused |= done.reused
        self._n_forward = done.n_forward
        return answer


def _require_same(ours: str, theirs: str) -> None:
    if ours != theirs:
        raise EngineError(
            f"A worker's key of a request is {ours}, and the run's is {theirs}. "
            f"Expected the same code, rows and weights on every machine. Install one "
            f"version everywhere."
        )


def serve(asked: IO[bytes], answered: IO[bytes]) -> None:
    """Answer requests until whoever asks them is gone."""
    first = receive(asked)
    if first is None:
        return
    worker = Worker(Post.from_wire(first[0]))
    send(answered, "ready")
    waiting: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(asked, waiting), daemon=True).start()
    while True:
        told = json.loads(waiting.get())
        answer = worker.answer(told["request"], told["key"])
        send(answered, *answer.packed())


def _listen(asked: IO[bytes], waiting: queue.Queue[str]) -> None:
    try:
        while (frame := receive(asked)) is not None:
            waiting.put(frame[0])
    finally:
        os._exit(0)  # nobody waits for the answer; a lock that is held is let go


def main() -> None:
    """Serve the pipes that this process was started with."""
    answered = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print
    serve(sys.stdin.buffer, answered)


if __name__ == "__main__":
    main()
