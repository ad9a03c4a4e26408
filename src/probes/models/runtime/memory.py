"""Memory, planned before it is taken: what is needed, what is free, and the refusal."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from probes.errors import ModelError

SPARED = 0.05
"""Share of what is free that is left alone: activations of one prompt, and others."""
GIB = 1 << 30


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
KEPT_BYTES = 1 << 30
LARGEST_KEPT_BYTES = 1 << 25  # the most that glibc takes


@cache
def keep_freed() -> bool:
    """Let glibc keep up to a gigabyte that is freed for the next allocation.

    By default it hands activations back to the system after each product, and the
    system clears every page again for the next: a quarter of the time of training a
    matrix of the first layer. Does nothing where the C library is another.

    Returns:
        Whether it agreed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        and mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    )


def free_bytes(device: torch.device) -> int | None:
    """Tell how much memory a device can still give; None where nobody tells.

    A GPU's count includes what torch holds and does not use.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free) + int(held)
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # no such count on this system
        return None


def require_room(needed: int, device: torch.device, *, what: str, mending: str) -> None:
    """Refuse work that would run out of memory half-way.

    Args:
        needed: Bytes that the work takes beside what is held already.
        device: Where.
        what: The work, for the message.
        mending: What would need less.

    Raises:
        ModelError: The device has less free than that and a little more.
    """
    free = free_bytes(device)
    if free is None or needed <= free * (1 - SPARED):
        return
    raise ModelError(
        f"{what} needs about {needed / GIB:.1f} GiB on {device}, and {free / GIB:.1f} "
        f"GiB are free. Expected room for it and {SPARED:.0%} more. {mending}"
    )


def bytes_to_train(
    weights: Mapping[str, Tensor],
    *,
    n_trials: int,
    optimizer: str,
    gradients: Literal["all", "largest"] = "all",
) -> int:
    """Estimate what one stack of trainings takes, without activations.

    Each trial holds the weights that move in float32 or wider; once more in the model's
    precision, if that is another; gradients in the model's precision; and for Adam two
    moments as wide as the weights. Whole-model GD on 6.7 B weights in bfloat16 is
    38 GiB beside the model's 13, with Adam 88 GiB.

    Args:
        weights: The model's own tensors that move.
        n_trials: Trainings in the stack.
        optimizer: "gd" or "adam".
        gradients: Which are held at a time: those of all weights, or one beside that
            of the embedding, which waits for all others.
    """
    total = 0
    for tensor in weights.values():
        own = tensor.element_size()
        wide = max(4, own)
        working = own if own != wide else 0
        moments = 2 * wide if optimizer == "adam" else 0
        total += tensor.numel() * (wide + working + moments)
    each = [tensor.numel() * tensor.element_size() for tensor in weights.values()]
    held = sum(each) if gradients == "all" else min(2 * max(each), sum(each))
    return n_trials * (total + held)
