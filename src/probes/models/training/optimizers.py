"""The steps of plain gradient descent and of Adam, for a stack of trials."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from probes.models.weights.gradients import Gradient, Product, add_rows, formed
from probes.models.weights.stacks import Weights

ALIGNED = 8
"""Numbers: adding a product to rows that begin elsewhere takes twice as long."""


@dataclass(kw_only=True)
class Descent:
    """Plain steps or Adam's, each trial at its own rate.

    Attributes:
        optimizer: "gd", or "adam" with its authors' constants (Kingma and Ba 2015).
        rates: Shape (n_trials,).
    """

    optimizer: str
    rates: Tensor
    n_steps: int = 0
    moments: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Read once: a GPU would finish all its work at every reading. No larger rate
        # is a float32, and with this one training diverges as surely.
        largest = torch.finfo(torch.float32).max
        only = len(self.rates) == 1
        self._only = min(float(self.rates), largest) if only else None

    def begin_step(self) -> None:
        """Count a step, before its weights are moved."""
        self.n_steps += 1

    def move(self, masters: Weights, name: str, gradient: Gradient) -> None:
        """Move one weight in place.

        Args:
            masters: By name, shape (n_trials, …), or of one trial alone.
            name: Which moves.
            gradient: In its shape; it may be written over.
        """
        master = masters[name]
        if isinstance(gradient, Product) and self._is_addable(gradient, master):
            self._move_by_product(master, gradient)
            return
        gradient = formed(gradient)
        if self.optimizer == "adam":
            gradient = self._scaled(name, gradient.to(master.dtype))
        if self._only is not None:
            master.sub_(gradient, alpha=self._only)  # widened on its way
            return
        master.sub_(gradient.to(master.dtype).mul_(self._rates_for(master)))

    def _is_addable(self, gradient: Product, master: Tensor) -> bool:
        """Say whether a step is taken without forming its gradient, and faster so."""
        is_fast = master.shape[-1] % ALIGNED == 0
        is_plain = self.optimizer == "gd" and gradient.left.dtype == master.dtype
        return is_plain and is_fast

    def _move_by_product(self, master: Tensor, gradient: Product) -> None:
        """Add a product to the weights as it is formed: they are read only once."""
        rows, added = gradient.rows, gradient.added
        if self._only is not None:
            alpha = -self._only
            master.addmm_(gradient.left, gradient.right, alpha=alpha)
            if rows is not None and added is not None:
                master.index_add_(0, rows, added, alpha=alpha)
            return
        rates = self._rates_for(master)
        master.baddbmm_(gradient.left, gradient.right * rates, alpha=-1)
        if rows is not None and added is not None:
            add_rows(master, rows, added * -rates)

    def _rates_for(self, master: Tensor) -> Tensor:
        shape = (-1, *[1] * (master.dim() - 1))
        return self.rates.to(master.dtype).reshape(shape)

    def _scaled(self, name: str, gradient: Tensor) -> Tensor:
        if name not in self.moments:
            zeros = torch.zeros_like(gradient)
            self.moments[name] = (zeros, zeros.clone())
        mean, square = self.moments[name]
        mean.lerp_(gradient, 0.1)
        square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        unbiased = (square / (1 - 0.999**self.n_steps)).sqrt_().add_(1e-8)
        return (mean / (1 - 0.9**self.n_steps)).div_(unbiased)
