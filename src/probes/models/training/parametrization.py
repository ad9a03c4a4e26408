"""Which numbers training moves, and which of the model's weights they make up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from probes.models.weights.gradients import Gradient, GradientReceiver, materialize
from probes.models.weights.stacks import Weights
from probes.models.weights.weight_parts import WeightPart


class Parametrization(Protocol):
    """Maps the numbers that an optimizer moves to weights of the model.

    ``FullWeights`` moves the weights themselves, ``WeightParts`` matrices within them,
    ``LoRA`` factors of a change to matrices.
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


@dataclass(frozen=True)
class WeightParts:
    """Moves attention matrices that are parts of weights (a ``Parametrization``).

    Attributes:
        start: The model's own weights that training changes, by name.
        parts: The matrices within them.
    """

    start: Mapping[str, Tensor]
    parts: Sequence[WeightPart]

    def initial(self) -> Weights:
        """Give the matrices, shape (1, d_out, d_in)."""
        return {
            part.label: part.read(self.start[part.name].detach())[None]
            for part in self.parts
        }

    def weights(self, parameters: Weights) -> Weights:
        """Put the matrices in their places, rounded to the model's precision."""
        changed: Weights = {}
        for part in self.parts:
            moved, p = parameters[part.label], self.start[part.name]
            whole = changed.get(part.name, p.expand(*moved.shape[:-2], *p.shape))
            changed[part.name] = part.write(whole, moved.to(p.dtype))
        return changed

    def chain_rule(
        self, parameters: Weights, receive: GradientReceiver
    ) -> GradientReceiver:
        """Cut each matrix's gradient out of the whole weight's."""
        del parameters

        def receive_whole(name: str, gradient: Gradient) -> None:
            for part in self.parts:
                if part.name == name:
                    receive(part.label, part.read(materialize(gradient)))

        return receive_whole


def widened(dtype: torch.dtype) -> torch.dtype:
    """Name the precision in which numbers are moved: float32, or the wider one."""
    return torch.promote_types(dtype, torch.float32)
