"""Products with weights that training moves, which are not worth packing.

oneDNN also multiplies by weights as they are. For the few tokens of a training step it
is a tenth to a third faster than torch's own choice on a CPU, and for the unembedding
almost twice as fast. As in ``prepacked_linear``, the operator is not public, so its
results are checked before it is used at all.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from probes.models.llama.prepacked_linear import onednn_product

MIN_SIDE = 192
"""Of a weight. With smaller ones, both ways take the same time."""


def dense_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute x Wᵀ + b for x (…, d_in) and W (d_out, d_in)."""
    if supports_onednn(x, weight):
        return onednn_product(x, weight.detach(), bias)
    return F.linear(x, weight, bias)


def dense_product_backward(gradient: Tensor, weight: Tensor) -> Tensor:
    """Compute g W, the gradient of x, for g (…, d_out) and W (d_out, d_in)."""
    if supports_onednn(gradient, weight):
        return onednn_product(gradient, weight.detach().t(), None)
    return gradient @ weight


def supports_onednn(x: Tensor, weight: Tensor) -> bool:
    """Check that a product is of large float32 matrices on a CPU, without autograd."""
    return (
        min(weight.shape) >= MIN_SIDE
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and not torch.is_grad_enabled()
        and has_dense_operator()
    )


@cache
def has_dense_operator() -> bool:
    """Check that this torch has the operator, and that its results are right."""
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(size, generator=generator) for size in ((2, 3, 8), (16, 8), (16,))
    )
    plain = F.linear(x, weight, bias)
    wanted = (plain, plain @ weight)
    try:
        found = (
            onednn_product(x, weight, bias),
            onednn_product(plain, weight.t(), None),
        )
    except (AttributeError, RuntimeError, TypeError):
        return False
    return all(
        ours.shape == theirs.shape and torch.allclose(ours, theirs, atol=1e-4)
        for ours, theirs in zip(found, wanted, strict=True)
    )
