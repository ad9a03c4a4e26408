"""Works that share nothing, side by side in threads, each computing with one.

A training step on thirty tokens, or a small model's pass, is many products of which
none is large enough for two threads. Python's lock is free while torch computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_BYTES = 1 << 26
"""Of a model's weights, or a training's: products with larger ones fill all threads."""


def n_abreast(n_bytes: int, device: torch.device) -> int:
    """Tell how many works run side by side: as many as torch has threads, or one.

    Args:
        n_bytes: The weights with which each multiplies.
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
        Exception: What the first item raised for which the work failed; those begun
            are finished first.
    """
    if n == 1 or len(items) < 2:
        return [work(item) for item in items]
    n_threads = torch.get_num_threads()
    is_inference, is_grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def alone(item: Item) -> Result:
        with torch.inference_mode(is_inference), torch.set_grad_enabled(is_grad):
            return work(item)

    try:
        with ThreadPoolExecutor(
            n, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            return list(pool.map(alone, items))
    finally:
        torch.set_num_threads(n_threads)  # threads that others begin take the last one
