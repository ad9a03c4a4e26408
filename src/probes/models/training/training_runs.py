"""Training runs: what each one trains on, its result, and why it may have failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from probes.errors import NumericsError
from probes.models.weights.stacks import Weights


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """One training of the model.

    Attributes:
        index: The demonstration set that it trains on.
        rate: The learning rate.
        seed: Decides the order of demonstrations where they are reshuffled.
    """

    index: int
    rate: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class TrainedWeights:
    """The result of a group of runs.

    Attributes:
        weights: By name, shape (n_runs, …), in the model's precision.
        failures: Why each run's weights cannot be used; empty if they can.
    """

    weights: Weights
    failures: list[str]

    def of(self, run: int) -> Weights:
        """Give the weights of one run."""
        return {name: stacked[run] for name, stacked in self.weights.items()}

    def require_usable(self) -> None:
        """Check every run.

        Raises:
            NumericsError: A run diverged, or its update vanished in rounding.
        """
        for failure in filter(None, self.failures):
            raise NumericsError(failure)


ReadWeights = Callable[[Sequence[TrainingRun], int, TrainedWeights], None]
"""Called with a stack's runs, the number of passes done, and the weights."""


def failure_of(
    run: TrainingRun,
    weights: Weights,
    start: Mapping[str, Tensor],
    *,
    is_finite: bool,
    largest_gradient: Callable[[], float],
) -> str:
    """Explain why a run's weights cannot be used; return nothing if they can.

    Args:
        run: The run.
        weights: Its weights after training.
        start: The model's weights.
        is_finite: Whether all losses of the run were finite.
        largest_gradient: Finds the largest entry of the run's first gradient that is
            not zero, or 0. Called only if no weight changed.
    """
    if not is_finite or not all(map(_is_finite, weights.values())):
        return (
            f"Training at rate {run.rate:g} diverged: the loss on the demonstrations "
            f"is NaN or infinite. Expected a smaller rate. Lower rate=, or pass "
            f"--dtype float32."
        )
    if run.rate == 0.0:
        return ""
    if any(not torch.equal(weights[name], p) for name, p in start.items()):
        return ""
    largest = largest_gradient()
    return _vanished(run.rate, start, largest) if largest > 0 else ""


def _vanished(rate: float, start: Mapping[str, Tensor], largest: float) -> str:
    """Name the least rate that would change a typical weight."""
    dtype = next(iter(start.values())).dtype
    medians = [p.detach().float().abs().median() for p in start.values()]
    typical = float(torch.stack(medians).median())
    usable = torch.finfo(dtype).eps / 2 * max(typical, 1e-30) / largest
    return (
        f"At rate {rate:g} every update vanishes in the rounding of {dtype}: no weight "
        f"changed, although the gradient is up to {largest:.2g}. Expected a rate of at "
        f"least about {usable:.2g}. Raise rate=, or pass --dtype float32."
    )


def _is_finite(weights: Tensor) -> bool:
    """Check minimum and maximum, which show NaN and infinity in a single pass."""
    return all(bool(torch.isfinite(end)) for end in weights.aminmax())
