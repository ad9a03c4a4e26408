"""The steps of plain gradient descent and of Adam, for a stack of runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from probes.models.weights.gradients import (
    Gradient,
    LazyGradient,
    add_rows,
    materialize,
)
from probes.models.weights.stacks import Weights

ALIGNED = 8
"""Numbers in a row. If rows have another length, adding a product takes twice as
long."""

IN_CACHE = 1 << 18
"""Numbers that Adam moves at a time. A step passes ten times over them, and with more
than a CPU's cache holds, memory takes most of the time."""


@dataclass(kw_only=True)
class StackedOptimizer:
    """Plain steps or Adam's, each run at its own rate.

    Attributes:
        optimizer: "gd", or "adam" with its authors' constants (Kingma and Ba 2015).
        rates: Shape (n_runs,).
    """

    optimizer: str
    rates: Tensor
    n_steps: int = 0
    moments: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Read once, because a GPU must finish all its work before a number is read.
        # The largest float32 replaces a larger rate; training diverges at either.
        largest = torch.finfo(torch.float32).max
        is_alone = len(self.rates) == 1
        self._only_rate = min(float(self.rates), largest) if is_alone else None

    def begin_step(self) -> None:
        """Count a step, before its weights are moved."""
        self.n_steps += 1

    def move(self, parameters: Weights, name: str, gradient: Gradient) -> None:
        """Move one parameter in place.

        Args:
            parameters: By name, shape (n_runs, …); a single run's have no leading axis.
            name: The one that moves.
            gradient: In the parameter's shape. It may be overwritten.
        """
        parameter = parameters[name]
        if isinstance(gradient, LazyGradient) and self._is_addable(gradient, parameter):
            self._add_product(parameter, gradient)
            return
        gradient = materialize(gradient)
        if self.optimizer == "adam":
            self._move_by_adam(parameter, name, gradient.to(parameter.dtype))
        else:
            self._subtract(parameter, gradient)

    def _subtract(self, parameter: Tensor, gradient: Tensor) -> None:
        """Move against a direction, which may be overwritten, at each run's rate."""
        if self._only_rate is not None:
            parameter.sub_(gradient, alpha=self._only_rate)  # widens as it subtracts
            return
        parameter.sub_(gradient.to(parameter.dtype).mul_(self._rates_for(parameter)))

    def _is_addable(self, gradient: LazyGradient, parameter: Tensor) -> bool:
        """Check that a step without computing its gradient is possible, and faster."""
        is_fast = parameter.shape[-1] % ALIGNED == 0
        is_plain = self.optimizer == "gd" and gradient.left.dtype == parameter.dtype
        return is_plain and is_fast

    def _add_product(self, parameter: Tensor, gradient: LazyGradient) -> None:
        """Add the product as it is computed, which reads the parameter only once."""
        rows, added = gradient.rows, gradient.added
        if self._only_rate is not None:
            alpha = -self._only_rate
            parameter.addmm_(gradient.left, gradient.right, alpha=alpha)
            if rows is not None and added is not None:
                parameter.index_add_(0, rows, added, alpha=alpha)
            return
        rates = self._rates_for(parameter)
        parameter.baddbmm_(gradient.left, gradient.right * rates, alpha=-1)
        if rows is not None and added is not None:
            add_rows(parameter, rows, added * -rates)

    def _rates_for(self, parameter: Tensor) -> Tensor:
        shape = (-1, *[1] * (parameter.dim() - 1))
        return self.rates.to(parameter.dtype).reshape(shape)

    def _move_by_adam(self, parameter: Tensor, name: str, gradient: Tensor) -> None:
        if name not in self.moments:
            zeros = torch.zeros_like(gradient)
            self.moments[name] = (zeros, zeros.clone())
        for moved, *numbers in self._parts(parameter, gradient, *self.moments[name]):
            self._subtract(moved, self._adam_direction(*numbers))

    def _parts(self, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Cut tensors of one run, number by number, into parts that a cache holds."""
        is_one_run = self._only_rate is not None
        if not (is_one_run and all(t.is_contiguous() for t in tensors)):
            yield tensors
            return
        flat = [torch.split(t.view(-1), IN_CACHE) for t in tensors]
        yield from zip(*flat, strict=True)

    def _adam_direction(self, gradient: Tensor, mean: Tensor, square: Tensor) -> Tensor:
        """Update both moments in place, and divide one by the root of the other."""
        mean.lerp_(gradient, 0.1)
        square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        unbiased = (square / (1 - 0.999**self.n_steps)).sqrt_().add_(1e-8)
        return (mean / (1 - 0.9**self.n_steps)).div_(unbiased)
