"""RMS normalization, x / √(mean x² + ε) times a factor, and its gradient.

It is computed in float32 whatever the model's precision, as the library does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from probes.models.llama.axes import interleave_halves, split


@dataclass(frozen=True, kw_only=True)
class RMSNorm:
    """The norms of a model.

    Attributes:
        epsilon: The ε.
        adds_one: Whether a scale w stands for the factor 1 + w, which is then applied
            in float32.
    """

    epsilon: float
    adds_one: bool

    def normalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Normalize without the factor (see :func:`rms_normalize`)."""
        dtype = torch.float32 if self.adds_one else x.dtype
        return rms_normalize(x, self.epsilon, dtype)

    def factor(self, x: Tensor, scale: Tensor, *, is_interleaved: bool) -> Tensor:
        """Turn a norm's scale into the factor of normalized numbers.

        Args:
            x: What is normalized, shape (n_stacks or 1, …, d).
            scale: Shape (d,) or (n_stacks, d).
            is_interleaved: Whether the two halves of x are interleaved.

        Returns:
            Shape (d,) or (n_stacks, 1, …, d).
        """
        factor = interleave_halves(scale) if is_interleaved else scale
        if self.adds_one:
            factor = 1.0 + factor.float()
        if factor.dim() == 1:
            return factor
        return split(factor, 0, -1, *[1] * (x.dim() - 2))


def rms_normalize(
    x: Tensor, epsilon: float, dtype: torch.dtype | None = None
) -> tuple[Tensor, Tensor]:
    """Normalize x, and return the factor 1 / √(mean x² + ε) too, in float32.

    Args:
        x: Shape (…, d).
        epsilon: The ε.
        dtype: The precision of the result; None is that of x.
    """
    wide = x.to(torch.float32)
    inverse = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    return (wide * inverse).to(dtype or x.dtype), inverse


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
