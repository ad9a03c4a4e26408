"""The time limit of an observation: it ends what hangs, and nothing else."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from probes.engine.store import Store
from probes.engine.time_limit import TimeLimit, TimeLimitedObserver
from probes.errors import NumericsError, OptionError, TimeLimitError
from probes.observations.observation import Observation
from probes.observations.request import Request
from tests.support.running import ROOT, environment
from tests.support.slow_learner import Slow, request


def observer(folder: Path, seconds: float | None) -> TimeLimitedObserver:
    return TimeLimitedObserver(Store(folder), limit=TimeLimit(seconds))


def test_what_takes_too_long_is_an_error_that_names_it(tmp_path: Path) -> None:
    wording = r"Slow on gd_1 took more than 0\.1 s\. Expected an answer within --time-"
    with pytest.raises(TimeLimitError, match=wording):
        observer(tmp_path, 0.1).observe(request(Slow(seconds=9.0)))


def test_what_took_too_long_is_not_tried_again(tmp_path: Path) -> None:
    asked, watched = request(Slow(seconds=9.0)), observer(tmp_path, 0.1)
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(TimeLimitError):
            watched.observe(asked)
    assert time.monotonic() - started < 0.05


def test_the_time_of_what_is_needed_first_does_not_count(tmp_path: Path) -> None:
    asked = request(Slow(seconds=0.12, needs=0.12))
    assert observer(tmp_path, 0.2).observe(asked).key == asked.key


def test_the_time_of_waiting_for_another_process_does_not_count(
    tmp_path: Path,
) -> None:
    store, asked = Store(tmp_path), request(Slow(seconds=0.05, needs=0.0))
    needed = replace(asked, learner=Slow(seconds=0.0))
    is_held = threading.Event()

    def hold() -> None:
        with store.locked(needed.key):
            is_held.set()
            time.sleep(0.3)

    threading.Thread(target=hold).start()
    is_held.wait()
    assert observer(tmp_path, 0.2).observe(asked).key == asked.key


def test_no_alarm_is_left_behind(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGALRM)
    with contextlib.suppress(TimeLimitError):
        observer(tmp_path, 0.05).observe(request(Slow(seconds=9.0, needs=0.0)))
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_without_a_limit_there_is_no_alarm(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGALRM)

    def unset(_: Request) -> None:
        assert signal.getsignal(signal.SIGALRM) is before

    TimeLimitedObserver(Store(tmp_path), limit=TimeLimit(None), announce=unset).observe(
        request(Slow(seconds=0.0))
    )


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_a_limit_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(OptionError, match=r"--time-limit is .* Expected seconds above"):
        TimeLimit(seconds)


HANGS = """
from probes.engine.time_limit import TimeLimit
from tests.support.slow_learner import Slow, request
with TimeLimit(0.2, may_exit=True).measuring([request(Slow(seconds=0.0))]):
    sum(range(10**12))  # hours in which no alarm is heard
"""


def test_a_process_that_does_not_come_back_to_python_ends_itself() -> None:
    words = [sys.executable, "-c", HANGS]
    done = subprocess.run(
        words, cwd=ROOT, env=environment(), capture_output=True, timeout=50, check=False
    )
    assert done.returncode == 1
    assert b"Timeout (" in done.stderr


def test_what_an_engine_could_not_answer_is_not_asked_again(tmp_path: Path) -> None:
    asked, watched = request(Slow(seconds=0.0)), observer(tmp_path, None)
    watched.mark_failed(asked.key, NumericsError("said"))
    with pytest.raises(NumericsError, match="said"):
        watched.observe(asked)
    assert not watched.measured


def test_what_an_engine_sent_is_held_in_memory(tmp_path: Path) -> None:
    asked, watched = request(Slow(seconds=9.0)), observer(tmp_path, None)
    sent = Observation(arrays={"predictions": np.ones((2, 3))}, key=asked.key)
    assert watched.recall(asked.key) is None
    watched.keep_in_memory(sent)
    assert watched.observe(asked) is sent
    assert watched.recall(asked.key) is sent


@pytest.fixture(autouse=True)
def _clean_alarms() -> Iterator[None]:
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
