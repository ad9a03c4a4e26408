"""A limit on the time of one observation, kept by the process that measures it.

At the limit, an alarm raises an error in the observation. If a library hangs and does
not return to Python, no error can be raised: a little later the process ends itself,
and its worker is replaced. Neither uses the wall clock, which may jump.
"""

from __future__ import annotations

import contextlib
import faulthandler
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from probes.engine.observer import Observer
from probes.errors import OptionError, ProbesError, TimeLimitError
from probes.observations.observation import Observation
from probes.observations.request import Request

LONGEST_GRACE = 10.0
"""Seconds from the alarm to the end of a process that ignores it. A shorter limit
shortens this to the limit itself."""


class TimeLimit:
    """The clock of the observations that one process is measuring.

    An observation's clock stops while the process measures, or waits for, another
    observation that it needs.

    Args:
        seconds: How long one observation may take; None: any time.
        may_exit: Whether this process may end itself, because it would be replaced.

    Raises:
        OptionError: The limit is not a positive number.
    """

    def __init__(self, seconds: float | None, *, may_exit: bool = False) -> None:
        if seconds is not None and not 0 < seconds < float("inf"):
            raise OptionError(
                f"--time-limit is {seconds:g}. Expected seconds above 0. Pass "
                f"--time-limit 600, for instance."
            )
        self.seconds, self.may_exit = seconds, may_exit
        self._left: list[float] = []
        self._running: Request | None = None
        self._since = 0.0
        self._before: Any = None

    @contextlib.contextmanager
    def measuring(self, group: Sequence[Request]) -> Iterator[None]:
        """Run the clock of one observation, or of several that share their work."""
        if not self._can_alarm:
            yield
            return
        assert self.seconds is not None
        self._left.append(self.seconds * len(group))
        self._start(group[0])
        try:
            yield
        finally:
            self._stop()
            self._left.pop()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
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
        if self.may_exit:
            errors = sys.__stderr__ or sys.stderr
            left += min(LONGEST_GRACE, self.seconds or LONGEST_GRACE)
            faulthandler.dump_traceback_later(left, exit=True, file=errors)

    def _stop(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self.may_exit:
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


class TimeLimitedObserver(Observer):
    """An observer with a time limit, which also takes in the results of engines.

    Args:
        store: Where observations are kept.
        limit: The clock.
        options: Those of :class:`Observer`.
    """

    def __init__(self, store: Any, *, limit: TimeLimit, **options: Any) -> None:
        super().__init__(store, **options)
        self.limit = limit

    def observe(self, request: Request) -> Observation:
        """Return the observation of a request, and measure it if it is not stored.

        Raises:
            ProbesError: The request cannot be answered; the message says why.
        """
        with self.limit.paused():
            return super().observe(request)

    def mark_failed(self, key: str, error: ProbesError) -> None:
        """Note that a request cannot be answered, so that it is not tried again."""
        self._failed[key] = error

    def keep_in_memory(self, observation: Observation) -> None:
        """Keep an observation that was not stored, while memory lasts."""
        self._remember(observation)

    def recall(self, key: str) -> Observation | None:
        """Return an observation from memory or from the store; None if it has none."""
        return self._memory.get(key) or self.store.get(key)

    def _measure_group(self, group: Sequence[Request]) -> Observation:
        with self.limit.measuring(group):
            return super()._measure_group(group)
