"""The peak of a device: FLOP/s in one large matrix product, and memory bandwidth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

SIDES = {"cuda": 8192, "cpu": 1024}  # of the square matrices that are multiplied
ROUNDS = 4
SMALL = 4
"""How many times smaller the sides of the first matrices are, 64 times less work."""
SLOW = 0.005
"""Seconds of a small product from which on no larger one is tried: below 7 GFLOP/s, a
large one takes a third of a second or more."""
LONG = 1.0
"""Seconds after which no product is repeated. Where PyTorch multiplies bfloat16 without
oneDNN, a core makes 2 GFLOP/s (and 85 in float32): a large product takes a second, and
two ways in four rounds would take eight."""
SHORTEST = 1e-6
"""Seconds that a clock can tell from none."""
COPIED = 1 << 26
"""Bytes that are copied to measure the bandwidth; more than caches hold."""


@cache
def matmul_peak(device: str, dtype: str) -> float:
    """Measure the fastest of a few large matrix products, in FLOP/s.

    Each process measures it once. Of a processor it measures one thread, in processor
    time, and multiplies by the process's number of threads: other work on the machine
    slows a product down, but does not lower the peak. If small matrices are slow
    already, larger ones are not multiplied.
    """
    import torch

    kind = torch.device(device).type
    side = SIDES.get(kind, 1024) // SMALL
    if kind == "cpu":
        with _one_thread() as n_threads:
            return n_threads * _speed(side, device, dtype, time.thread_time)
    return _speed(side, device, dtype, time.perf_counter)


@contextmanager
def _one_thread() -> Iterator[int]:
    """Let PyTorch use one thread for a while; give the number that it had."""
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield n_threads
    finally:
        torch.set_num_threads(n_threads)


def _speed(side: int, device: str, dtype: str, clock: Callable[[], float]) -> float:
    """Measure FLOP/s in small products, and in large ones unless these take long."""
    seconds = _fastest(side, device, dtype, clock)
    if seconds < SLOW:
        side *= SMALL
        seconds = _fastest(side, device, dtype, clock)
    return float(2 * side**3 / seconds)


def _fastest(side: int, device: str, dtype: str, clock: Callable[[], float]) -> float:
    """Time the fastest product of two square matrices, in seconds of a clock."""
    best, started = float("inf"), time.perf_counter()
    for product in products(side, device, dtype) * ROUNDS:
        _wait(device)
        began = clock()
        product()
        _wait(device)
        best = min(best, clock() - began)
        if time.perf_counter() - started > LONG:
            break
    return max(best, SHORTEST)


@cache
def memory_bandwidth(device: str) -> float:
    """Measure the fastest of a few copies, in bytes/s that are read or written."""
    import torch

    source = torch.ones(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(ROUNDS):
        _wait(device)
        began = time.perf_counter()
        target.copy_(source)
        _wait(device)
        best = min(best, time.perf_counter() - began)
    return 2 * COPIED / best


def products(side: int, device: str, dtype: str) -> list[Callable[[], Any]]:
    """Return every way in which this package multiplies two square matrices."""
    import torch

    from probes.models.llama.prepacked_linear import prepack

    # Random numbers: a GPU multiplies constants faster, since fewer bits flip.
    generator = torch.Generator(device).manual_seed(0)
    drawn = torch.randn(2, side, side, device=device, generator=generator)
    a, b = drawn.to(getattr(torch, dtype))
    ways = [lambda: a @ b]
    ways += [partial(way, a, None) for way in prepack({"b": b}).values()]
    return ways


def _wait(device: str) -> None:
    import torch

    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
