"""Low-rank changes of the attention projections (LoRA).

A projection W becomes W + BA, and only B and A are trained.

Reference:
    Hu et al. 2021, arXiv:2106.09685. There is no scale α/r besides the rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from probes.hashing import seed_of
from probes.models.training.parametrization import widened
from probes.models.weights.gradients import Gradient, GradientReceiver, materialize
from probes.models.weights.stacks import Weights
from probes.models.weights.weight_parts import WeightPart

RANK = 4
"""From 1 to 64 the authors see little difference (their Table 6)."""
PREFIX = "lora@"


@dataclass(frozen=True)
class LoRA:
    """Moves the factors A and B of every projection (a ``Parametrization``).

    B starts at 0 and A with seeded Gaussian rows of expected length 1, the same for
    every run.

    Attributes:
        start: The weights that hold the projections, by name.
        parts: The projections within them.
    """

    start: Mapping[str, Tensor]
    parts: Sequence[WeightPart]

    def initial(self) -> Weights:
        """Draw the factors of every projection, in float32 or wider, shape (1, …)."""
        factors: Weights = {}
        for part in self.parts:
            name, p = part.label, self.start[part.name]
            d_out, d_in = part.read(p).shape
            wide = widened(p.dtype)
            A = _gaussian(name, d_in).to(p.device, wide) / d_in**0.5
            factors[f"{name}:A"] = A[None]
            factors[f"{name}:B"] = torch.zeros(
                1, d_out, RANK, dtype=wide, device=p.device
            )
        return factors

    def weights(self, parameters: Weights) -> Weights:
        """Add BA to each projection, rounded to the model's precision."""
        changed: Weights = {}
        for part in self.parts:
            B, A = (parameters[f"{part.label}:{factor}"] for factor in "BA")
            p = self.start[part.name]
            whole = changed.get(part.name, p.expand(*B.shape[:-2], *p.shape))
            changed[part.name] = part.write(whole, (part.read(p) + B @ A).to(p.dtype))
        return changed

    def chain_rule(
        self, parameters: Weights, receive: GradientReceiver
    ) -> GradientReceiver:
        """Turn a projection's gradient G into BᵀG for A and GAᵀ for B."""

        def receive_projection(part: WeightPart, gradient: Gradient) -> None:
            A, B = (parameters[f"{part.label}:{factor}"] for factor in "AB")
            wide = part.read(materialize(gradient)).to(A.dtype)
            of_factors = {"A": B.mT @ wide, "B": wide @ A.mT}
            for factor, of_factor in of_factors.items():
                receive(f"{part.label}:{factor}", of_factor)

        def receive_whole(name: str, gradient: Gradient) -> None:
            for part in self.parts:
                if part.name == name:
                    receive_projection(part, gradient)

        return receive_whole


def _gaussian(name: str, d_in: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed_of("lora", name))
    return torch.randn(RANK, d_in, generator=generator)
