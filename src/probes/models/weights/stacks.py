"""Weights of several trials stacked along a first axis, and how many fit."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Weights = dict[str, Tensor]

STACKED_BYTES = {"cpu": 1 << 25, "cuda": 1 << 30}

"""Of weights: a stack that outgrows a CPU's cache is slower than its members in turn;
on a GPU it makes larger products of small ones."""


def unstacked(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the leading axis of a stack of one: plain products are the fastest."""
    return {name: w[0] if len(w) == 1 else w for name, w in weights.items()}


def bytes_of(weights: Mapping[str, Tensor]) -> int:
    """Tell the size of some weights."""
    return sum(w.numel() * w.element_size() for w in weights.values())


def n_stacked(n_bytes: int, device: torch.device) -> int:
    """Tell how many members, of so many bytes each, make a stack; at least one."""
    return max(1, STACKED_BYTES.get(device.type, 1 << 25) // n_bytes)


def stacks_of(weights: Mapping[str, Tensor]) -> list[Weights]:
    """Cut a stack into such as are asked at once (see :func:`n_stacked`)."""
    some = next(iter(weights.values()))
    size = n_stacked(bytes_of(weights) // len(some), some.device)
    return [
        {name: w[start : start + size] for name, w in weights.items()}
        for start in range(0, len(some), size)
    ]
