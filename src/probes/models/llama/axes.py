"""Axes that are split, and stacks of which some have one member for all."""

from __future__ import annotations

from torch import Tensor


def split(tensor: Tensor, axis: int, *sizes: int) -> Tensor:
    """Split an axis into several; one of the sizes may be −1, which means the rest."""
    axis %= tensor.dim()
    return tensor.reshape(*tensor.shape[:axis], *sizes, *tensor.shape[axis + 1 :])


def product(left: Tensor, right: Tensor) -> Tensor:
    """Multiply the matrices of two stacks; what all members share is not copied.

    Args:
        left: Shape (n_stacks or 1, …, n, k).
        right: Shape (n_stacks or 1, …, k, m).

    Returns:
        Shape (n_stacks, …, n, m).
    """
    if len(left) == len(right):
        return left @ right
    if len(right) == 1:
        below = left.movedim(0, -3).flatten(-3, -2)
        return split(below @ right[0], -2, len(left), -1).movedim(-3, 0)
    beside = right.movedim(0, -2).flatten(-2)
    return split(left[0] @ beside, -1, len(right), -1).movedim(-2, 0)
