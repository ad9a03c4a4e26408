"""Low-rank changes of the attention projections (LoRA).

A projection W becomes W + BA, and only B and A are trained.

Reference:
    Hu et al. 2021, arXiv:2106.09685. There is no scale α/r besides the rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from probes.hashing import seed_of
from probes.models.training.parametrization import widened
from probes.models.weights.gradients import Gradient, GradientReceiver, materialize
from probes.models.weights.stacks import Weights

RANK = 4
"""From 1 to 64 the authors see little difference (their Table 6)."""
PREFIX = "lora@"


@dataclass(frozen=True)
class LoRA:
    """Moves the factors A and B of every projection (a ``Parametrization``).

    B starts at 0 and A with seeded Gaussian rows of expected length 1, the same for
    every run.

    Attributes:
        start: The projections, by name, shape (d_out, d_in).
    """

    start: Mapping[str, Tensor]

    def initial(self) -> Weights:
        """Draw the factors of every projection, in float32 or wider, shape (1, …)."""
        factors: Weights = {}
        for name, p in self.start.items():
            d_out, d_in = p.shape
            wide = widened(p.dtype)
            A = _gaussian(name, d_in).to(p.device, wide) / d_in**0.5
            factors[f"{name}:A"] = A[None]
            factors[f"{name}:B"] = torch.zeros(
                1, d_out, RANK, dtype=wide, device=p.device
            )
        return factors

    def weights(self, parameters: Weights) -> Weights:
        """Add BA to each projection, rounded to the model's precision."""
        return {
            name: (p + parameters[f"{name}:B"] @ parameters[f"{name}:A"]).to(p.dtype)
            for name, p in self.start.items()
        }

    def chain_rule(
        self, parameters: Weights, receive: GradientReceiver
    ) -> GradientReceiver:
        """Turn a projection's gradient G into BᵀG for A and GAᵀ for B."""

        def receive_projection(name: str, gradient: Gradient) -> None:
            A, B = parameters[f"{name}:A"], parameters[f"{name}:B"]
            wide = materialize(gradient).to(A.dtype)
            of_factors = {"A": B.mT @ wide, "B": wide @ A.mT}
            for factor, of_factor in of_factors.items():
                receive(f"{name}:{factor}", of_factor)

        return receive_projection


def _gaussian(name: str, d_in: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed_of("lora", name))
    return torch.randn(RANK, d_in, generator=generator)
