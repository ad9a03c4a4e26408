"""RMS normalization without its scale, x / √(mean x² + ε), and its gradient.

It is computed in float32 whatever the model's precision, as the library does.
"""

from __future__ import annotations

import torch
from torch import Tensor


def rms_normalize(x: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Normalize x, and return the factor 1 / √(mean x² + ε) too, in float32."""
    wide = x.to(torch.float32)
    inverse = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    return (wide * inverse).to(x.dtype), inverse


def rms_normalize_backward(
    gradient: Tensor, x: Tensor, normalized: Tensor, inverse: Tensor
) -> Tensor:
    """Compute the gradient of x.

    Args:
        gradient: That of the normalized x. It may be overwritten.
        x: The input of :func:`rms_normalize`.
        normalized: Its first result.
        inverse: Its second result.
    """
    if x.dtype == torch.float64:  # round to float32 exactly where autograd does
        return _backward_of_autograd(gradient, x, inverse)
    wide, own = (t.to(torch.float32) for t in (gradient, normalized))
    along = (wide * own).mean(-1, keepdim=True)
    return wide.addcmul_(own, along, value=-1).mul_(inverse).to(x.dtype)


def _backward_of_autograd(gradient: Tensor, x: Tensor, inverse: Tensor) -> Tensor:
    wide, own = (t.to(torch.float32) for t in (gradient, x))
    of_inverse = (wide * own).sum(-1, keepdim=True)
    of_mean = -0.5 * of_inverse * inverse.pow(3)
    of_square = (of_mean / x.shape[-1]).expand_as(own)
    return (wide * inverse + of_square * (own * 2)).to(x.dtype)
