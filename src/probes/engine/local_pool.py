"""``--engine local``: a pool of processes in which dead workers are replaced.

Each worker has a thread here, which sends it requests and waits for the results. If a
worker dies, its request goes back to the queue. After ``MOST_DEATHS`` deaths, the pool
gives the request up.
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

from probes.engine.protocol import RequestResult, given_up, hung, receive, send
from probes.engine.request_json import request_to_json
from probes.engine.requests_by_work import RequestsByWork
from probes.engine.work_queue import (
    WorkQueue,
    in_plan_order,
    model_bytes_by_group,
    model_group,
    shared_model_limit,
)
from probes.engine.worker import WorkerSettings
from probes.engine.worker_resources import worker_environment
from probes.errors import EngineError, ProbesError
from probes.observations.request import Request

MOST_DEATHS = 3
"""Workers that may die of one request. Bad luck kills one; a fault kills every one."""
MOST_FAILED_STARTS = 5
"""Failed starts in a row, of all workers together, after which the engine stops."""
LOG_TAIL = 300  # characters of a dead worker's log that a message quotes
TIMEOUT_MARK = "Timeout ("  # what faulthandler writes when it ends a process


class LocalPool:
    """Measures a plan in processes of this machine.

    Args:
        n_workers: How many processes at a time.
        settings: What each worker must know.
        logs: A folder for the standard errors of the workers.
        device: Where models run, so that each worker sees its own GPU.
        announce: Called with each request that is sent to a worker.
    """

    def __init__(
        self,
        n_workers: int,
        *,
        settings: WorkerSettings,
        logs: Path,
        device: str = "cpu",
        announce: Callable[[Request], None] | None = None,
    ) -> None:
        self.n_workers, self.settings, self.logs = n_workers, settings, logs
        self.device, self.announce = device, announce or (lambda request: None)
        self.n_deaths = 0
        self._results: queue.Queue[RequestResult | ProbesError] = queue.Queue()
        self._lock = threading.Condition()
        self._alive: dict[int, subprocess.Popen[bytes]] = {}
        self._deaths: Counter[str] = Counter()
        self._failed_starts = 0
        self._is_closed = False

    def measure(self, requests: Sequence[Request]) -> Iterator[RequestResult]:
        """Measure every request once, and give the results as they come.

        Raises:
            EngineError: No worker can be started.
        """
        plan = in_plan_order(requests)
        self._sharing = RequestsByWork(lambda: plan)
        work = WorkQueue(
            plan,
            model_group,
            sizes=model_bytes_by_group({request.model for request in plan}),
            shared_limit=shared_model_limit(self.device, self.n_workers),
        )
        self._left = n_left = len(work)
        for index in range(min(self.n_workers, n_left)):
            thread = threading.Thread(
                target=self._keep_busy, args=(index, work), daemon=True
            )
            thread.start()
        for _ in range(n_left):
            result = self._results.get()
            if isinstance(result, ProbesError):
                raise result
            yield result

    def close(self) -> None:
        """Kill every worker, without waiting for what it is measuring."""
        with self._lock:
            self._is_closed = True
            for process in self._alive.values():
                process.kill()
            self._lock.notify_all()

    def _keep_busy(self, index: int, work: WorkQueue[Request]) -> None:
        """Keep one worker busy, and replace it if it dies, until all is measured."""
        try:
            while (request := self._next(work, index)) is not None:
                self._run_worker(index, request, work)
        except ProbesError as error:
            self._results.put(error)

    def _next(self, work: WorkQueue[Request], index: int) -> Request | None:
        """Take a request; wait while others hold some that may come back."""
        with self._lock:
            while not self._is_closed and self._left:
                request = work.take(index)
                if request is not None:
                    self.announce(request)
                    return request
                self._lock.wait()
        return None

    def _run_worker(self, index: int, first: Request, work: WorkQueue[Request]) -> None:
        """Start a process, and send it requests until it dies or none are left."""
        request: Request | None = first
        log = self.logs / f"worker-{index}.log"
        process = self._start(index, log)
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            if not self._configure(process, log):
                self._give_back(first, work)
                return
            while request is not None:
                others = self._sharing.others(request)
                result = _exchange(process.stdin, process.stdout, request, others)
                if result is None:
                    self._handle_death(request, log, work)
                    return
                self._deliver(result)
                request = self._next(work, index)
        finally:
            process.kill()
            process.communicate()
            with self._lock:  # close() goes through all of them
                if self._alive.get(index) is process:  # a later plan may have begun
                    del self._alive[index]

    def _start(self, index: int, log: Path) -> subprocess.Popen[bytes]:
        environment = worker_environment(index, self.n_workers, self.device)
        with self._lock, log.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "probes.engine.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **environment},
                start_new_session=True,  # Ctrl-C is for the parent to handle
            )
            self._alive[index] = process
            if self._is_closed:
                process.kill()
        return process

    def _configure(self, process: subprocess.Popen[bytes], log: Path) -> bool:
        """Send a new worker its settings; False if it does not start.

        Raises:
            EngineError: Many workers before it did not start either.
        """
        assert process.stdin is not None
        assert process.stdout is not None
        is_up = _send_settings(process.stdin, process.stdout, self.settings)
        with self._lock:
            self._failed_starts = 0 if is_up else self._failed_starts + 1
            if self._failed_starts >= MOST_FAILED_STARTS and not self._is_closed:
                raise EngineError(
                    f"{self._failed_starts} workers in a row did not start: "
                    f"{_log_tail(log)}. Expected python -m probes.engine.worker to "
                    f"start. Fix the cause that they name, or run without --engine."
                )
        return is_up

    def _deliver(self, result: RequestResult) -> None:
        with self._lock:
            self._left -= 1
            self._lock.notify_all()
        self._results.put(result)

    def _give_back(self, request: Request, work: WorkQueue[Request]) -> None:
        with self._lock:
            work.give_back(request)
            self._lock.notify_all()

    def _handle_death(
        self, request: Request, log: Path, work: WorkQueue[Request]
    ) -> None:
        """Give a dead worker's request to another, or give it up."""
        words = _log_tail(log)
        with self._lock:
            self.n_deaths += 1
            self._deaths[request.key] += 1
            n_deaths = self._deaths[request.key]
        if TIMEOUT_MARK in words:
            self._deliver(hung(request, self.settings.seconds))
        elif n_deaths >= MOST_DEATHS:
            self._deliver(given_up(request, n_deaths, words))
        else:
            self._give_back(request, work)


def _exchange(
    requests: IO[bytes],
    results: IO[bytes],
    request: Request,
    others: Sequence[Request],
) -> RequestResult | None:
    """Let a worker measure a request; None if the worker died."""
    frame = {
        "request": request_to_json(request),
        "key": request.key,
        "others": list(map(request_to_json, others)),
    }
    try:
        send(requests, json.dumps(frame))
        reply = receive(results)
    except OSError:
        return None
    return None if reply is None else RequestResult.from_frame(*reply)


def _send_settings(
    requests: IO[bytes], results: IO[bytes], settings: WorkerSettings
) -> bool:
    try:
        send(requests, settings.to_json())
        return receive(results) is not None
    except OSError:
        return False


def _log_tail(log: Path) -> str:
    """Read the end of a dead worker's log; of a hung worker's, where it hung."""
    try:
        text = log.read_text("utf-8", "replace").strip()
    except OSError:
        return "its log cannot be read"
    start = text.find(TIMEOUT_MARK)
    words = text[start:] if start >= 0 else text[-LOG_TAIL:]
    return " ".join(words[:LOG_TAIL].split()) or "it was killed and wrote nothing"
