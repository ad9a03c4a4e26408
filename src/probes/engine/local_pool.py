"""``--engine local``: a pool of processes whose dead members are replaced.

Each worker has a thread here that hands it requests and waits for answers. A worker
that dies gives its request back; after ``MOST_DEATHS`` the request is given up.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from probes.engine.protocol import Answer, lost, receive, send
from probes.engine.request_json import to_wire
from probes.engine.work_queue import Waiting, group_of, group_sizes, ordered, room_on
from probes.engine.worker import Post
from probes.engine.worker_resources import worker_environment
from probes.errors import EngineError, ProbesError
from probes.observations.request import Request

MOST_DEATHS = 3
"""Workers that one request may cost: chance strikes it once, its own fault always."""
MOST_FAILED_STARTS = 5
"""In a row and of all workers together, before the engine is called unable to start."""
LAST_WORDS = 300  # characters of a dead worker's errors that are told
HUNG = "Timeout ("  # what faulthandler writes when it ends a process


class LocalPool:
    """Measures a plan in processes of this machine.

    Args:
        n_workers: How many at a time.
        post: Where they stand.
        logs: A folder for what they write to their standard errors.
        device: Where models run, so that each worker sees its own GPU.
        announce: Called with each request that is handed to a worker.
    """

    def __init__(
        self,
        n_workers: int,
        *,
        post: Post,
        logs: Path,
        device: str = "cpu",
        announce: Callable[[Request], None] | None = None,
    ) -> None:
        self.n_workers, self.post, self.logs = n_workers, post, logs
        self.device, self.announce = device, announce or (lambda request: None)
        self.n_deaths = 0
        self._answers: queue.Queue[Answer | ProbesError] = queue.Queue()
        self._lock = threading.Condition()
        self._alive: dict[int, subprocess.Popen[bytes]] = {}
        self._deaths: Counter[str] = Counter()
        self._failed_starts = 0
        self._is_closed = False

    def measure(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Answer every request once, as the answers come.

        Raises:
            EngineError: No worker can be started.
        """
        plan = ordered(requests)
        sizes = group_sizes({request.model for request in plan})
        room = room_on(self.device, self.n_workers)
        waiting = Waiting(plan, group_of, sizes=sizes, room=room)
        self._left = n_left = len(waiting)
        for place in range(min(self.n_workers, n_left)):
            thread = threading.Thread(
                target=self._work, args=(place, waiting), daemon=True
            )
            thread.start()
        for _ in range(n_left):
            found = self._answers.get()
            if isinstance(found, ProbesError):
                raise found
            yield found

    def close(self) -> None:
        """Kill every worker; what one is measuring is not waited for."""
        with self._lock:
            self._is_closed = True
            for process in self._alive.values():
                process.kill()
            self._lock.notify_all()

    def _work(self, place: int, waiting: Waiting[Request]) -> None:
        """Keep one worker busy, and replace it when it dies, until all is answered."""
        try:
            while (request := self._next(waiting, place)) is not None:
                self._one_life(place, request, waiting)
        except ProbesError as error:
            self._answers.put(error)

    def _next(self, waiting: Waiting[Request], place: int) -> Request | None:
        """Take a request; wait while others hold some that may come back."""
        with self._lock:
            while not self._is_closed and self._left:
                found = waiting.take(place)
                if found is not None:
                    self.announce(found)
                    return found
                self._lock.wait()
        return None

    def _one_life(self, place: int, first: Request, waiting: Waiting[Request]) -> None:
        request: Request | None = first
        log = self.logs / f"worker-{place}.log"
        process = self._start(place, log)
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            if not self._greet(process, log):
                self._give_back(first, waiting)
                return
            while request is not None:
                answer = _ask(process.stdin, process.stdout, request)
                if answer is None:
                    self._bury(request, log, waiting)
                    return
                self._take(answer)
                request = self._next(waiting, place)
        finally:
            process.kill()
            process.communicate()
            with self._lock:  # closing looks at all of them
                if self._alive.get(place) is process:  # a later plan may have begun
                    del self._alive[place]

    def _start(self, place: int, log: Path) -> subprocess.Popen[bytes]:
        given = worker_environment(place, self.n_workers, self.device)
        with self._lock, log.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "probes.engine.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **given},
                start_new_session=True,  # Ctrl-C is ours to answer
            )
            self._alive[place] = process
            if self._is_closed:
                process.kill()
        return process

    def _greet(self, process: subprocess.Popen[bytes], log: Path) -> bool:
        """Post a new worker; False where it does not come up.

        Raises:
            EngineError: Nor did many before it.
        """
        assert process.stdin is not None
        assert process.stdout is not None
        is_up = _posted(process.stdin, process.stdout, self.post)
        with self._lock:
            self._failed_starts = 0 if is_up else self._failed_starts + 1
            if self._failed_starts >= MOST_FAILED_STARTS and not self._is_closed:
                raise EngineError(
                    f"{self._failed_starts} workers in a row did not start: "
                    f"{_last_words(log)}. Expected python -m probes.engine.worker to "
                    f"start. Run without --engine, or mend what they say."
                )
        return is_up

    def _take(self, answer: Answer) -> None:
        with self._lock:
            self._left -= 1
            self._lock.notify_all()
        self._answers.put(answer)

    def _give_back(self, request: Request, waiting: Waiting[Request]) -> None:
        with self._lock:
            waiting.give_back(request)
            self._lock.notify_all()

    def _bury(self, request: Request, log: Path, waiting: Waiting[Request]) -> None:
        """Let a dead worker's request be measured by another, or give it up."""
        words = _last_words(log)
        with self._lock:
            self.n_deaths += 1
            self._deaths[request.key] += 1
            n_deaths = self._deaths[request.key]
        if HUNG in words:
            self._take(_hung(request, self.post.seconds))
        elif n_deaths >= MOST_DEATHS:
            self._take(lost(request, n_deaths, words))
        else:
            self._give_back(request, waiting)


def _ask(asked: IO[bytes], answered: IO[bytes], request: Request) -> Answer | None:
    """Let a worker measure a request; None where it died of it."""
    told = {"request": to_wire(request), "key": request.key}
    try:
        send(asked, json.dumps(told))
        found = receive(answered)
    except OSError:
        return None
    return None if found is None else Answer.unpacked(*found)


def _posted(asked: IO[bytes], answered: IO[bytes], post: Post) -> bool:
    try:
        send(asked, post.to_wire())
        return receive(answered) is not None
    except OSError:
        return False


def _hung(request: Request, seconds: float | None) -> Answer:
    told = (
        f"{type(request.learner).__name__} on {request.model.name} hung for more than "
        f"{seconds or 0:g} s and did not come back to Python. Expected an answer "
        f"within --time-limit. Raise it, or find out why the model hangs."
    )
    return Answer(key=request.key, error=("TimeLimitError", told))


def _last_words(log: Path) -> str:
    """Read the end of what a dead worker wrote; of a hung one the beginning."""
    try:
        text = log.read_text("utf-8", "replace").strip()
    except OSError:
        return "nothing is known of it"
    at = text.find(HUNG)
    words = text[at:] if at >= 0 else text[-LAST_WORDS:]
    return " ".join(words[:LAST_WORDS].split()) or "it was killed without a word"
