"""Receivers of gradients, for tests that look at them."""

from __future__ import annotations

from torch import Tensor

from probes.models.weights.gradients import Gradient, GradientReceiver, materialize


def collect_into(gradients: dict[str, Tensor]) -> GradientReceiver:
    """Compute every gradient as it comes, and keep it."""

    def receive(name: str, gradient: Gradient) -> None:
        gradients[name] = materialize(gradient)

    return receive
