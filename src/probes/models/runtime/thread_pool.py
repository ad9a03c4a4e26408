"""Works that share nothing, side by side in threads, each computing with one.

A training step on thirty tokens, or a small model's pass, is many products of which
none is large enough for two threads. Python's lock is free while torch computes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_BYTES = 1 << 26
"""Of a model's weights: products with those of a larger one fill all threads."""
_here = threading.local()


def n_abreast(n_bytes: int, device: torch.device) -> int:
    """Tell how many works run side by side: as many as torch has threads, or one.

    Args:
        n_bytes: All weights of the model.
        device: Where they are; a GPU works on one thing at a time.
    """
    is_small = device.type == "cpu" and n_bytes <= MOST_BYTES
    return torch.get_num_threads() if is_small else 1


def abreast(
    work: Callable[[Item], Result], items: Sequence[Item], *, n: int
) -> list[Result]:
    """Do a work on every item.

    Args:
        work: May be called from any thread, for several items at a time.
        items: What it is done on.
        n: How many at a time; each then computes with one thread of torch's.

    Returns:
        What it came to, in the items' order.

    Raises:
        Exception: What the first item raised for which the work failed. Works that run
            are waited for, then and where a signal interrupts; they may look whether
            they are still wanted (see :func:`require_wanted`).
    """
    if n == 1 or len(items) < 2:
        return [work(item) for item in items]
    n_threads = torch.get_num_threads()
    is_inference, is_grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    unwanted = threading.Event()

    def alone(item: Item) -> Result:
        _here.unwanted = unwanted
        with torch.inference_mode(is_inference), torch.set_grad_enabled(is_grad):
            return work(item)

    try:
        with ThreadPoolExecutor(
            n, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            try:
                return list(pool.map(alone, items))
            except BaseException:
                unwanted.set()
                raise
    finally:
        torch.set_num_threads(n_threads)  # threads that others begin take the last one


def require_wanted() -> None:
    """Let a long work end early, if nobody waits for it any more.

    Raises:
        CancelledError: Another work failed, or a signal interrupted them all.
    """
    unwanted = getattr(_here, "unwanted", None)
    if unwanted is not None and unwanted.is_set():
        raise CancelledError
