"""Functions of single numbers, and their gradients: in gated MLPs, and of logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, ops


@dataclass(frozen=True, kw_only=True)
class Activation:
    """A function of every number, and its gradient.

    Attributes:
        apply: Computes the function. The input is kept.
        apply_in_place: Computes it in place of the input.
        backward: Computes the gradient of the input from that of the output, and from
            the input.
    """

    apply: Callable[[Tensor], Tensor]
    apply_in_place: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


def _gelu(approximate: str) -> Activation:
    return Activation(
        apply=partial(ops.aten.gelu, approximate=approximate),
        apply_in_place=partial(ops.aten.gelu_, approximate=approximate),
        backward=partial(ops.aten.gelu_backward, approximate=approximate),
    )


ACTIVATIONS = {
    "silu": Activation(
        apply=ops.aten.silu,
        apply_in_place=ops.aten.silu_,
        backward=ops.aten.silu_backward,
    ),
    "gelu": _gelu("none"),
    "gelu_pytorch_tanh": _gelu("tanh"),
}
"""By the library's name of the function."""


def cap_logits(logits: Tensor, cap: float | None) -> Tensor:
    """Compute c · tanh(z / c) in place; None caps nothing."""
    return logits if cap is None else logits.div_(cap).tanh_().mul_(cap)


def cap_logits_backward(gradient: Tensor, capped: Tensor, cap: float | None) -> Tensor:
    """Compute the gradient of logits from that of capped ones, in place."""
    return gradient if cap is None else gradient.mul_(1 - (capped / cap).square())
