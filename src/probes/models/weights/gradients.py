"""Gradients of weights, gathered over tokens; some are kept as unevaluated products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


def add_rows(whole: Tensor, rows: Tensor, new: Tensor) -> Tensor:
    """Add to some rows in place; a row may be listed more than once.

    Args:
        whole: Shape (n_stacks, n, d), or (n, d).
        rows: Row numbers, shape (n_stacks or 1, n_rows), or (n_rows,).
        new: Shape (n_stacks, n_rows, d), or (n_rows, d).
    """
    if rows.dim() == 1:
        return whole.index_add_(0, rows, new)
    if len(rows) == 1:
        return whole.index_add_(1, rows[0], new)
    stack = torch.arange(len(rows), device=rows.device)[:, None].expand_as(rows)
    return whole.index_put_((stack, rows), new, accumulate=True)


@dataclass(frozen=True)
class LazyGradient:
    """The gradient Σ g xᵀ of a matrix, computed only when it is needed.

    Attributes:
        left: Gradients of the matrix's output, shape (…, d_out, n_tokens).
        right: The matrix's input, shape (…, n_tokens, d_in).
        rows: Only for a tied embedding: the tokens looked up, shape (n_rows,), or for a
            stack (n_stacks or 1, n_rows).
        added: What is added to these rows; the shape of ``rows`` with a last axis d_in.
    """

    left: Tensor
    right: Tensor
    rows: Tensor | None = None
    added: Tensor | None = None

    def compute(self) -> Tensor:
        """Compute the gradient, shape (…, d_out, d_in)."""
        product = self.left @ self.right
        if self.rows is None or self.added is None:
            return product
        return add_rows(product, self.rows, self.added)


Gradient = Tensor | LazyGradient

GradientReceiver = Callable[[str, Gradient], None]
"""Receives the name of a weight and its gradient, and must use it at once: the tensors
of a ``LazyGradient`` are overwritten afterwards."""


def materialize(gradient: Gradient) -> Tensor:
    """Compute a gradient, if that was not done yet."""
    return gradient.compute() if isinstance(gradient, LazyGradient) else gradient


def weight_gradient(gradient: Tensor, x: Tensor, is_stack: bool) -> LazyGradient:
    """Describe Σ g xᵀ over tokens: for each member of a stack, or over all members."""
    if is_stack:
        return LazyGradient(gradient.transpose(-1, -2), x)
    return LazyGradient(gradient.flatten(0, 1).t(), x.flatten(0, 1))


def bias_gradient(gradient: Tensor, _: Tensor, is_stack: bool) -> Tensor:
    """Compute Σ g over tokens: for each member of a stack, or over all members."""
    return gradient.sum(1 if is_stack else (0, 1))
