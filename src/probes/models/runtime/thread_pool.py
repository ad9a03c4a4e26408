"""Independent tasks in parallel threads, each with one thread of torch's.

A training step on thirty tokens, or a pass of a small model, consists of many products
that are too small for two threads. Python's lock is free while torch computes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_BYTES = 1 << 26
"""Weights of a model. Products with those of a larger one keep all threads busy."""
_this_thread = threading.local()


def n_threads_for(n_bytes: int, device: torch.device) -> int:
    """Choose how many tasks run in parallel: one for each of torch's threads, or one.

    Args:
        n_bytes: The size of all weights of the model.
        device: Where they are. A GPU runs one task at a time.
    """
    is_small = device.type == "cpu" and n_bytes <= MAX_BYTES
    return torch.get_num_threads() if is_small else 1


def run_in_threads(
    task: Callable[[Item], Result], items: Sequence[Item], *, n: int
) -> list[Result]:
    """Run a task on every item.

    Args:
        task: May be called from any thread, and for several items at a time.
        items: The task's arguments.
        n: Tasks at a time. Each of them computes with one thread of torch's.

    Returns:
        The results, in the order of the items.

    Raises:
        Exception: The error of the first item whose task failed. It is raised when all
            running tasks have ended, and so is the error of a signal. Long tasks can
            end early (see :func:`raise_if_cancelled`).
    """
    if n == 1 or len(items) < 2:
        return [task(item) for item in items]
    is_inference, is_grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
    cancelled = threading.Event()

    def run(item: Item) -> Result:
        _this_thread.cancelled = cancelled
        with torch.inference_mode(is_inference), torch.set_grad_enabled(is_grad):
            return task(item)

    with _pool(n) as pool:
        try:
            return list(pool.map(run, items))
        except BaseException:
            cancelled.set()
            raise


@contextmanager
def _pool(n: int) -> Iterator[ThreadPoolExecutor]:
    """Open a pool of threads that compute with one of torch's threads each."""
    n_threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(
            n, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            yield pool
    finally:
        torch.set_num_threads(n_threads)  # new threads start with the latest number


def raise_if_cancelled() -> None:
    """End a long task early if its result is no longer needed.

    Raises:
        CancelledError: Another task failed, or a signal interrupted all of them.
    """
    cancelled = getattr(_this_thread, "cancelled", None)
    if cancelled is not None and cancelled.is_set():
        raise CancelledError
