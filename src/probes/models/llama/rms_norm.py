"""Division by the root mean square, x / √(mean x² + ε), and its gradient.

In float32 whatever the precision, as the library does.
"""

from __future__ import annotations

import torch
from torch import Tensor


def normed(x: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Give what is divided, and the inverse that it was multiplied by, in float32."""
    wide = x.to(torch.float32)
    inverse = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    return (wide * inverse).to(x.dtype), inverse


def back(gradient: Tensor, x: Tensor, found: Tensor, inverse: Tensor) -> Tensor:
    """Carry a gradient back; it may be written over.

    Args:
        gradient: Of what :func:`normed` found.
        x: What was divided.
        found: What it found.
        inverse: Its inverse.
    """
    if x.dtype == torch.float64:  # every rounding to float32 as autograd makes it
        return _as_autograd_does(gradient, x, inverse)
    wide, own = (t.to(torch.float32) for t in (gradient, found))
    along = (wide * own).mean(-1, keepdim=True)
    return wide.addcmul_(own, along, value=-1).mul_(inverse).to(x.dtype)


def _as_autograd_does(gradient: Tensor, x: Tensor, inverse: Tensor) -> Tensor:
    wide, own = (t.to(torch.float32) for t in (gradient, x))
    of_inverse = (wide * own).sum(-1, keepdim=True)
    of_mean = -0.5 * of_inverse * inverse.pow(3)
    of_square = (of_mean / x.shape[-1]).expand_as(own)
    return (wide * inverse + of_square * (own * 2)).to(x.dtype)
