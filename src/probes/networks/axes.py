"""Axes split in two, with a type."""

from __future__ import annotations

from torch import Tensor


def split(tensor: Tensor, axis: int, *sizes: int) -> Tensor:
    """Split an axis into several; one of the sizes may be −1, which means the rest."""
    axis %= tensor.dim()
    return tensor.reshape(*tensor.shape[:axis], *sizes, *tensor.shape[axis + 1 :])
