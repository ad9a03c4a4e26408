"""Weights of several runs stacked along a first axis, and how many to stack."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Weights = dict[str, Tensor]
"""Tensors by the name of the model's parameter."""

STACKED_BYTES = {"cpu": 1 << 25, "cuda": 1 << 30}
"""Weights in one stack. A stack that does not fit in a CPU's cache is slower than its
members one by one. On a GPU, stacking makes large products of small ones."""


def unstacked(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the leading axis of a stack of one: plain products are the fastest."""
    return {name: w[0] if len(w) == 1 else w for name, w in weights.items()}


def bytes_of(weights: Mapping[str, Tensor]) -> int:
    """Compute the size of some weights, in bytes."""
    return sum(w.numel() * w.element_size() for w in weights.values())


def n_per_stack(n_bytes: int, device: torch.device) -> int:
    """Choose how many members of this size make a stack; at least one."""
    return max(1, STACKED_BYTES.get(device.type, 1 << 25) // n_bytes)


def split_stack(weights: Mapping[str, Tensor]) -> list[Weights]:
    """Cut a stack into smaller ones that are fast (see :func:`n_per_stack`)."""
    some = next(iter(weights.values()))
    size = n_per_stack(bytes_of(weights) // len(some), some.device)
    return [
        {name: w[start : start + size] for name, w in weights.items()}
        for start in range(0, len(some), size)
    ]
