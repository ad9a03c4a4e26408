"""A limit on the time of one observation, kept by the process that measures it.

At the limit an alarm ends the observation with an error. Where a library does not come
back to Python, so that no error can be raised, the process ends itself a little later
and its worker is replaced. Neither asks the wall clock, which may jump.
"""

from __future__ import annotations

import contextlib
import faulthandler
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from probes.engine.observer import REMEMBERED, Observer
from probes.errors import OptionError, ProbesError, TimeLimitError
from probes.observations.observation import Observation
from probes.observations.request import Request

LONGEST_GRACE = 10.0
"""Seconds between the alarm and the end of a process that does not heed it, or the
limit again where that is shorter."""


class Watch:
    """The clock of the observations that one process is measuring.

    An observation's clock stands still while another that it needs is measured or
    waited for.

    Args:
        seconds: What one observation may take; None: any time.
        is_replaced: Whether this process may end itself, because somebody replaces it.

    Raises:
        OptionError: The limit is no positive number.
    """

    def __init__(self, seconds: float | None, *, is_replaced: bool = False) -> None:
        if seconds is not None and not 0 < seconds < float("inf"):
            raise OptionError(
                f"--time-limit is {seconds:g}. Expected seconds above 0. Pass "
                f"--time-limit 600, for instance."
            )
        self.seconds, self.is_replaced = seconds, is_replaced
        self._left: list[float] = []
        self._running: Request | None = None
        self._since = 0.0
        self._before: Any = None

    @contextlib.contextmanager
    def measuring(self, request: Request) -> Iterator[None]:
        """Give one observation its time."""
        if not self._can_alarm:
            yield
            return
        assert self.seconds is not None
        self._left.append(self.seconds)
        self._start(request)
        try:
            yield
        finally:
            self._stop()
            self._left.pop()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Stop the clock of the observation that asks for another."""
        request = self._running
        if request is None:
            yield
            return
        self._stop()
        try:
            yield
        finally:
            self._start(request)

    @property
    def _can_alarm(self) -> bool:
        is_main = threading.current_thread() is threading.main_thread()
        return self.seconds is not None and is_main and hasattr(signal, "setitimer")

    def _start(self, request: Request) -> None:
        self._running, self._since = request, time.monotonic()
        left = max(self._left[-1], 1e-3)
        self._before = signal.signal(signal.SIGALRM, self._alarm)
        signal.setitimer(signal.ITIMER_REAL, left)
        if self.is_replaced:
            errors = sys.__stderr__ or sys.stderr
            left += min(LONGEST_GRACE, self.seconds or LONGEST_GRACE)
            faulthandler.dump_traceback_later(left, exit=True, file=errors)

    def _stop(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self.is_replaced:
            faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, self._before)
        self._left[-1] -= time.monotonic() - self._since
        self._running = None

    def _alarm(self, *_: object) -> None:
        request: Any = self._running
        raise TimeLimitError(
            f"{type(request.learner).__name__} on {request.model.name} took more than "
            f"{self.seconds:g} s. Expected an answer within --time-limit. Raise it, "
            f"or find out why the model hangs."
        )


class WatchedObserver(Observer):
    """An observer that keeps a time limit, and takes in what engines found.

    Args:
        store: Where observations are kept.
        watch: The clock.
        announce: Called with each request that is about to be measured.
    """

    def __init__(self, store: Any, *, watch: Watch, announce: Any = None) -> None:
        super().__init__(store, announce=announce)
        self.watch = watch
        self._n_held = 0

    def observe(self, request: Request) -> Observation:
        """Return the observation of a request, measuring it if nobody has yet.

        Raises:
            ProbesError: The request cannot be answered; the message says why.
        """
        with self.watch.waiting():
            return super().observe(request)

    def fail(self, key: str, error: ProbesError) -> None:
        """Note that a request cannot be answered, so that nobody tries again."""
        self._failed[key] = error

    def hold(self, observation: Observation) -> None:
        """Keep an observation that the store could not keep, while memory lasts."""
        self._remember(observation)

    def recall(self, key: str) -> Observation | None:
        """Give an observation that this process remembers or has stored."""
        return self._memory.get(key) or self.store.get(key)

    def _remember(self, observation: Observation) -> None:
        """Keep what was used last; ten thousand cells make adding all up too slow."""
        known = self._memory.pop(observation.key, None)
        self._n_held += _n_bytes(observation) - (
            0 if known is None else _n_bytes(known)
        )
        self._memory[observation.key] = observation
        while self._n_held > REMEMBERED and len(self._memory) > 1:
            self._n_held -= _n_bytes(self._memory.popitem(last=False)[1])

    def _measure(self, request: Request) -> Observation:
        with self.watch.measuring(request):
            return super()._measure(request)


def _n_bytes(observation: Observation) -> int:
    return sum(array.nbytes for array in observation.arrays.values())
