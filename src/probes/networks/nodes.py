"""Parts of a layer with gradients written by hand: fewer passes over memory.

Each answers what autograd would compute of the plain formula beside it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def normed(x: Tensor, epsilon: float) -> Tensor:
    """Divide by the root mean square, x / √(mean x² + ε).

    In float32 whatever the precision, as the library does.
    """
    is_learning = torch.is_grad_enabled() and x.requires_grad
    if is_learning and x.dtype == torch.float32:
        found: Tensor = _Normed.apply(x, epsilon)  # type: ignore[no-untyped-call]
        return found
    return _normed(x, epsilon)[0]


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, epsilon: float) -> Tensor:
        found, inverse = _normed(x, epsilon)
        ctx.save_for_backward(found, inverse)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        found, inverse = ctx.saved_tensors
        (gradient,) = gradients
        along = (gradient * found).mean(-1, keepdim=True)
        return (gradient - found * along).mul_(inverse), None


def _normed(x: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    wide = x.to(torch.float32)
    inverse = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    return (wide * inverse).to(x.dtype), inverse


def stacked_product(x: Tensor, weights: Tensor) -> Tensor:
    """Compute x Wᵀ for a stack of W.

    Autograd's gradient of W would lie transposed in memory and be copied.

    Args:
        x: Shape (n_stacks or 1, n_tokens, d_in).
        weights: Shape (n_stacks, d_out, d_in).

    Returns:
        Shape (n_stacks, n_tokens, d_out).
    """
    if torch.is_grad_enabled():
        found: Tensor = _StackedProduct.apply(x, weights)  # type: ignore[no-untyped-call]
        return found
    return x @ weights.transpose(-1, -2)


class _StackedProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(x, weights)
        return x @ weights.transpose(-1, -2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weights = ctx.saved_tensors
        (gradient,) = gradients
        of_x, of_weights = ctx.needs_input_grad
        return (
            (gradient @ weights).sum_to_size(x.shape) if of_x else None,
            gradient.transpose(-1, -2) @ x if of_weights else None,
        )
