"""Splitting axes, selecting tokens, and arithmetic of stacks that share a member."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def split(tensor: Tensor, axis: int, *sizes: int) -> Tensor:
    """Split an axis into several. One of the sizes may be −1, for what remains."""
    axis %= tensor.dim()
    return tensor.reshape(*tensor.shape[:axis], *sizes, *tensor.shape[axis + 1 :])


def interleave_halves(tensor: Tensor) -> Tensor:
    """Interleave the two halves of the last axis."""
    return split(tensor, -1, 2, -1).transpose(-1, -2).flatten(-2)


def part_halves(tensor: Tensor) -> Tensor:
    """Undo :func:`interleave_halves`."""
    return split(tensor, -1, -1, 2).transpose(-1, -2).flatten(-2)


def product(left: Tensor, right: Tensor) -> Tensor:
    """Multiply the matrices of two stacks without copying what all members share.

    Args:
        left: Shape (n_stacks or 1, …, n, k).
        right: Shape (n_stacks or 1, …, k, m).

    Returns:
        Shape (n_stacks, …, n, m).
    """
    if len(left) == len(right):
        return left @ right
    if len(right) == 1:
        rows = left.movedim(0, -3).flatten(-3, -2)
        return split(rows @ right[0], -2, len(left), -1).movedim(-3, 0)
    columns = right.movedim(0, -2).flatten(-2)
    return split(left[0] @ columns, -1, len(right), -1).movedim(-2, 0)


def select_tokens(tokens: Tensor, rows: Tensor) -> Tensor:
    """Select tokens: (n_stacks or 1, n_tokens, …) at (n_stacks or 1, n_rows)."""
    if len(rows) == 1:
        return tokens[:, rows[0]]
    stack = torch.arange(len(rows), device=rows.device)[:, None]
    return tokens.expand(len(rows), *tokens.shape[1:])[stack, rows]


def plus(new: Tensor, other: Tensor) -> Tensor:
    """Add to a tensor that nothing else uses: in place, if the sum has its shape."""
    return new.add_(other) if _fits(new, other) else new + other


def times(new: Tensor, other: Tensor) -> Tensor:
    """Multiply a tensor that nothing else uses (see :func:`plus`)."""
    return new.mul_(other) if _fits(new, other) else new * other


def _fits(new: Tensor, other: Tensor) -> bool:
    """Check that a sum or product of both has the first one's shape."""
    return np.broadcast_shapes(new.shape, other.shape) == tuple(new.shape)
