"""Which numbers training moves, and which of the model's weights they make up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from probes.models.weights.gradients import GradientReceiver
from probes.models.weights.stacks import Weights


class Parametrization(Protocol):
    """Maps the numbers that an optimizer moves to weights of the model.

    ``FullWeights`` moves the weights themselves, ``LoRA`` factors of a change to them.
    """

    @property
    def start(self) -> Mapping[str, Tensor]:
        """The model's own weights that training changes, by name."""

    def initial(self) -> Weights:
        """Give the numbers before the first step, shape (1, …); not to be written."""

    def weights(self, parameters: Weights) -> Weights:
        """Compute the model's weights, in its precision, from the numbers."""

    def chain_rule(
        self, parameters: Weights, receive: GradientReceiver
    ) -> GradientReceiver:
        """Turn a receiver of the numbers' gradients into one of the weights'."""


@dataclass(frozen=True)
class FullWeights:
    """Moves every number of the weights (a ``Parametrization``).

    Attributes:
        start: The model's own weights that training changes, by name.
    """

    start: Mapping[str, Tensor]

    def initial(self) -> Weights:
        """Give the model's own weights, shape (1, …)."""
        return {name: p.detach()[None] for name, p in self.start.items()}

    def weights(self, parameters: Weights) -> Weights:
        """Round to the model's precision; nothing is copied if it is the same."""
        return {name: p.to(self.start[name].dtype) for name, p in parameters.items()}

    def chain_rule(
        self, parameters: Weights, receive: GradientReceiver
    ) -> GradientReceiver:
        """Pass gradients on unchanged."""
        del parameters
        return receive


def widened(dtype: torch.dtype) -> torch.dtype:
    """Name the precision in which numbers are moved: float32, or the wider one."""
    return torch.promote_types(dtype, torch.float32)
