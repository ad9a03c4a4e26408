"""Takers of gradients, for tests that look at them."""

from __future__ import annotations

from torch import Tensor

from probes.models.llama.backward import Take
from probes.models.weights.gradients import Gradient, formed


def into(found: dict[str, Tensor]) -> Take:
    """Form every gradient as it comes, and keep it."""

    def take(name: str, gradient: Gradient) -> None:
        found[name] = formed(gradient)

    return take
