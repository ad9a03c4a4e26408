"""Gradients gathered over tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def add_rows(whole: Tensor, rows: Tensor, new: Tensor) -> Tensor:
    """Add to some rows in place, where some may stand more than once.

    Args:
        whole: Shape (n_stacks, n, d), or (n, d).
        rows: Which, shape (n_stacks or 1, n_rows), or (n_rows,).
        new: Shape (n_stacks, n_rows, d), or (n_rows, d).
    """
    if rows.dim() == 1:
        return whole.index_add_(0, rows, new)
    if len(rows) == 1:
        return whole.index_add_(1, rows[0], new)
    stack = torch.arange(len(rows), device=rows.device)[:, None].expand_as(rows)
    return whole.index_put_((stack, rows), new, accumulate=True)


@dataclass(frozen=True)
class Product:
    """The gradient Σ g xᵀ of a matrix, not formed before somebody needs it.

    Attributes:
        left: Gradients of what the matrix answers, shape (…, d_out, n_tokens).
        right: What it was given, shape (…, n_tokens, d_in).
        rows: Of a tied embedding, the tokens looked up, shape (n_rows,), or of a stack
            (n_stacks or 1, n_rows); None of other matrices.
        added: What is added to these rows, one axis d_in more.
    """

    left: Tensor
    right: Tensor
    rows: Tensor | None = None
    added: Tensor | None = None

    def formed(self) -> Tensor:
        """Compute it, shape (…, d_out, d_in)."""
        found = self.left @ self.right
        if self.rows is None or self.added is None:
            return found
        return add_rows(found, self.rows, self.added)


Gradient = Tensor | Product


def formed(gradient: Gradient) -> Tensor:
    """Compute a gradient, if that was not done yet."""
    return gradient.formed() if isinstance(gradient, Product) else gradient


def outer(gradient: Tensor, x: Tensor, is_stack: bool) -> Product:
    """Give Σ g xᵀ over tokens, for every member of a stack or for all at once."""
    if is_stack:
        return Product(gradient.transpose(-1, -2), x)
    return Product(gradient.flatten(0, 1).t(), x.flatten(0, 1))


def summed(gradient: Tensor, _: Tensor, is_stack: bool) -> Tensor:
    """Compute Σ g likewise."""
    return gradient.sum(1 if is_stack else (0, 1))
