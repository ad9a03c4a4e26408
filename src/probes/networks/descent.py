"""The steps of plain gradient descent and of Adam, for a stack of trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

Weights = dict[str, Tensor]


@dataclass(kw_only=True)
class Descent:
    """Plain steps or Adam's, each trial at its own rate.

    Attributes:
        optimizer: "gd", or "adam" with its authors' constants (Kingma and Ba 2015).
        rates: Shape (n_trials,).
        largest: The largest entry of each trial's gradient in the first step in which
            one was not zero, shape (n_trials,).
    """

    optimizer: str
    rates: Tensor
    n_steps: int = 0
    moments: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    largest: Tensor = field(init=False)
    _is_first: bool = True

    def __post_init__(self) -> None:
        self.largest = torch.zeros(len(self.rates))
        # Read once: a GPU would finish all its work at every reading.
        self._only = float(self.rates) if len(self.rates) == 1 else None

    def begin_step(self) -> None:
        """Count a step, before its weights are moved."""
        self.n_steps += 1
        self._is_first = not self.largest.any()

    def move(self, masters: Weights, name: str, gradient: Tensor) -> None:
        """Move one weight of every trial in place; the gradient may be written over."""
        if self._is_first:
            flat = gradient.flatten(1)  # aminmax would take 15 times as long
            sizes = torch.maximum(flat.amax(dim=1), -flat.amin(dim=1)).float().cpu()
            self.largest = torch.maximum(self.largest, sizes)
        master = masters[name]
        if self.optimizer == "adam":
            gradient = self._scaled(name, gradient.to(master.dtype))
        if self._only is not None:
            master.sub_(gradient, alpha=self._only)  # widened on its way
            return
        gradient = gradient.to(master.dtype)
        shape = (-1, *[1] * (master.dim() - 1))
        rates = self.rates.to(master.dtype).reshape(shape)
        master.sub_(gradient.mul_(rates))

    def _scaled(self, name: str, gradient: Tensor) -> Tensor:
        if name not in self.moments:
            zeros = torch.zeros_like(gradient)
            self.moments[name] = (zeros, zeros.clone())
        mean, square = self.moments[name]
        mean.lerp_(gradient, 0.1)
        square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        unbiased = (square / (1 - 0.999**self.n_steps)).sqrt_().add_(1e-8)
        return (mean / (1 - 0.9**self.n_steps)).div_(unbiased)


def unstacked(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the leading axis of a stack of one: plain products are the fastest."""
    return {name: w[0] if len(w) == 1 else w for name, w in weights.items()}
