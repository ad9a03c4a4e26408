"""Splitting axes, selecting tokens, and products of stacks that share a member."""

from __future__ import annotations

import torch
from torch import Tensor


def split(tensor: Tensor, axis: int, *sizes: int) -> Tensor:
    """Split an axis into several. One of the sizes may be −1, for what remains."""
    axis %= tensor.dim()
    return tensor.reshape(*tensor.shape[:axis], *sizes, *tensor.shape[axis + 1 :])


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
