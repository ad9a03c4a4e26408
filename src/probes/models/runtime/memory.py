"""Memory, planned before it is used: what is needed, what is free, and the refusal."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from probes.errors import ModelError
from probes.models.runtime.bytes_per_weight import GIB, bytes_per_weight
from probes.models.runtime.free_memory import free_ram

RESERVED = 0.05
"""Share of the free memory that is not planned for: activations of one prompt, and
other programs."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h
RETAINED_BYTES = 1 << 30
LARGEST_RETAINED_BYTES = 1 << 25  # the most that glibc accepts


@cache
def retain_freed_memory() -> bool:
    """Let glibc retain up to a gigabyte of freed memory for the next allocation.

    By default it returns activations to the system after each product, and the system
    clears every page before the next. That takes a quarter of the time of training a
    matrix of the first layer. With another C library, nothing changes.

    Returns:
        Whether glibc accepted the settings.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(
        mallopt(M_MMAP_THRESHOLD, LARGEST_RETAINED_BYTES)
        and mallopt(M_TRIM_THRESHOLD, RETAINED_BYTES)
    )


def free_bytes(device: torch.device) -> int | None:
    """Measure how much memory of a device is free; None if the system does not say.

    On a GPU this includes memory that torch has reserved but does not use.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(
            device
        )
        return int(free) + int(unused)
    return free_ram()


def require_free_memory(
    needed: int, device: torch.device, *, what: str, fix: str
) -> None:
    """Refuse work that would run out of memory half-way.

    Args:
        needed: Bytes that the work allocates.
        device: The device that it runs on.
        what: The work, for the message.
        fix: How to need less, for the message.

    Raises:
        ModelError: The device has less than that and a reserve free.
    """
    free = free_bytes(device)
    if free is None or needed <= free * (1 - RESERVED):
        return
    raise ModelError(
        f"{what} needs about {needed / GIB:.1f} GiB on {device}, and {free / GIB:.1f} "
        f"GiB are free. Expected enough for it and {RESERVED:.0%} more. {fix}"
    )


def bytes_to_train(
    weights: Mapping[str, Tensor],
    *,
    n_runs: int,
    optimizer: str,
    gradients: Literal["all", "largest"] = "all",
) -> int:
    """Estimate the memory of one stack of training runs, without activations.

    Each run holds the trained weights in float32 or wider, and a copy in the model's
    precision if that is another. Its gradients are in the model's precision. Adam adds
    two moments, as wide as the weights. For 6.7 B weights in bfloat16, GD on the whole
    model takes 38 GiB besides the model's 13, and Adam 88 GiB.

    Args:
        weights: The model's own tensors that are trained.
        n_runs: Runs in the stack.
        optimizer: "gd" or "adam".
        gradients: Which gradients are held at a time: "all", or the "largest" and that
            of the embedding, which is complete only at the end.
    """
    total = sum(
        tensor.numel() * bytes_per_weight(tensor.element_size(), optimizer)
        for tensor in weights.values()
    )
    each = [tensor.numel() * tensor.element_size() for tensor in weights.values()]
    held = sum(each) if gradients == "all" else min(2 * max(each), sum(each))
    return n_runs * (total + held)
