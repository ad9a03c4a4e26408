"""Gradients gathered over tokens."""

from __future__ import annotations

import torch
from torch import Tensor


def add_rows(whole: Tensor, rows: Tensor, new: Tensor) -> Tensor:
    """Add to some rows in place, where some may stand more than once.

    Args:
        whole: Shape (n_stacks, n, d).
        rows: Which, shape (n_stacks or 1, n_rows).
        new: Shape (n_stacks, n_rows, d).
    """
    if len(rows) == 1:
        return whole.index_add_(1, rows[0], new)
    stack = torch.arange(len(rows), device=rows.device)[:, None].expand_as(rows)
    return whole.index_put_((stack, rows), new, accumulate=True)


def outer(gradient: Tensor, x: Tensor, is_stack: bool) -> Tensor:
    """Compute Σ g xᵀ over tokens, for every member of a stack or for all at once."""
    if is_stack:
        return gradient.transpose(-1, -2) @ x
    return gradient.flatten(0, 1).t() @ x.flatten(0, 1)


def summed(gradient: Tensor, _: Tensor, is_stack: bool) -> Tensor:
    """Compute Σ g likewise."""
    return gradient.sum(1 if is_stack else (0, 1))
