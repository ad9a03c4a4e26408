"""Trials of training: what they are of, what they came to, and why they failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from probes.errors import NumericsError
from probes.models.weights.stacks import Weights


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training: on which demonstration set, at which rate, in orders of a seed."""

    index: int
    rate: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a group of trials came to.

    Attributes:
        weights: By name, shape (n_trials, …), in the model's precision.
        faults: For each trial, why its weights cannot be used; empty if they can.
    """

    weights: Weights
    faults: list[str]

    def of(self, trial: int) -> Weights:
        """Give the weights of one trial."""
        return {name: stacked[trial] for name, stacked in self.weights.items()}

    def require_usable(self) -> None:
        """Check every trial.

        Raises:
            NumericsError: A trial diverged, or its update vanished in rounding.
        """
        for fault in filter(None, self.faults):
            raise NumericsError(fault)


def fault_of(
    trial: Trial,
    weights: Weights,
    start: Mapping[str, Tensor],
    *,
    is_finite: bool,
    largest: Callable[[], float],
) -> str:
    """Say why the weights of a trial cannot be used; nothing if they can.

    Args:
        trial: Which.
        weights: What it came to.
        start: What it began with.
        is_finite: Whether all its losses were finite.
        largest: Finds the largest entry of its first gradient that is not zero, or 0;
            asked if no weight changed.
    """
    if not is_finite or not all(map(_is_finite, weights.values())):
        return (
            f"Training at rate {trial.rate:g} diverged: the loss on the "
            f"demonstrations is no number. Expected a smaller rate. Lower rates=, "
            f"or pass --dtype float32."
        )
    if trial.rate == 0.0:
        return ""
    if any(not torch.equal(weights[name], p) for name, p in start.items()):
        return ""
    most = largest()
    if most == 0.0:
        return ""
    dtype = next(iter(start.values())).dtype
    medians = [p.detach().float().abs().median() for p in start.values()]
    typical = float(torch.stack(medians).median())
    usable = torch.finfo(dtype).eps / 2 * max(typical, 1e-30) / most
    return (
        f"At rate {trial.rate:g} every update vanishes in the rounding of {dtype}: "
        f"no weight changed, although the gradient is up to {most:.2g}. "
        f"Expected a rate of at least about {usable:.2g}. Raise rates=, or pass "
        f"--dtype float32."
    )


def _is_finite(weights: Tensor) -> bool:
    """Say whether all are: NaN and infinity show in the ends, found in one pass."""
    return all(bool(torch.isfinite(end)) for end in weights.aminmax())
