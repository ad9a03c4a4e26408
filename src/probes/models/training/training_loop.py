"""The steps of training, for a stack of runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, islice

import numpy as np
import torch
from torch import Tensor

from probes.models.runtime.thread_pool import raise_if_cancelled
from probes.models.training.gradient_accumulation import in_parts
from probes.models.training.gradient_backend import GradientBackend
from probes.models.training.label_batches import LabelBatches
from probes.models.training.optimizers import StackedOptimizer
from probes.models.training.parametrization import Parametrization, widened
from probes.models.training.settings import TrainingSettings
from probes.models.training.training_runs import TrainedWeights, TrainingRun, failure_of
from probes.models.weights.gradients import Gradient, GradientReceiver, materialize
from probes.models.weights.stacks import Weights, unstacked


@dataclass(frozen=True, kw_only=True)
class Pass:
    """A stack of runs after a pass over the demonstrations.

    Attributes:
        weights: By name, shape (n_runs, …). The next pass overwrites them.
        is_finite: Whether all losses of each run were finite, shape (n_runs,).
    """

    weights: Weights
    is_finite: Tensor


@dataclass(frozen=True, kw_only=True)
class TrainingLoop:
    """Trains stacks of runs, step by step.

    Attributes:
        settings: Optimizer and batch size.
        parametrization: The numbers that move.
        backend: Computes gradients.
        batches: The demonstrations of every set, from
            ``GradientBackend.record_frozen_layers``.
    """

    settings: TrainingSettings
    parametrization: Parametrization
    backend: GradientBackend
    batches: LabelBatches

    def train(self, runs: Sequence[TrainingRun], passes: int) -> TrainedWeights:
        """Train one stack of runs from the model's weights.

        Args:
            runs: The stack.
            passes: Passes over the demonstrations.
        """
        *_, last = islice(self.walk(runs), passes)
        return self.checked(runs, last)

    def walk(self, runs: Sequence[TrainingRun]) -> Iterator[Pass]:
        """Train one stack of runs from the model's weights, a pass at a time.

        Args:
            runs: The stack.

        Yields:
            The stack after each pass, without end.
        """
        parameters = self._initial_parameters(len(runs))
        moving = unstacked(parameters)
        optimizer = StackedOptimizer(
            optimizer=self.settings.optimizer, rates=self._rates(runs)
        )
        sets, is_finite = self._sets(runs), torch.ones(len(runs)).bool()
        for steps in self._orders(runs):
            for picked in steps:
                raise_if_cancelled()
                optimizer.begin_step()
                losses = self._step(
                    moving, sets, picked, partial(optimizer.move, moving)
                )
                is_finite &= torch.isfinite(losses).cpu()
            yield Pass(
                weights=self.parametrization.weights(parameters), is_finite=is_finite
            )

    def checked(self, runs: Sequence[TrainingRun], done: Pass) -> TrainedWeights:
        """Find out which runs of a stack have failed, and why."""
        failures = self._failures(runs, done.weights, done.is_finite)
        return TrainedWeights(weights=done.weights, failures=failures)

    def polyak_rate(self, run: TrainingRun) -> float:
        """Compute the rate at which a first step would undo the whole loss.

        That is if the loss kept falling as steeply as at the start: ℓ / ‖g‖² for plain
        steps. Adam's first step moves every number by the rate, so that for Adam it is
        ℓ / Σ|g|. The largest useful rates are of this size.

        Args:
            run: Its set is read; its rate is not.

        Returns:
            A rate; 1 if the gradient is 0, which every rate leaves as it is.

        Reference:
            Polyak 1987, Introduction to Optimization, with a least loss of 0.
        """
        initial, sums = unstacked(self.parametrization.initial()), [0.0]
        power = 1 if self.settings.optimizer == "adam" else 2

        def add(_: str, gradient: Gradient) -> None:
            sums.append(float(materialize(gradient).double().abs().pow(power).sum()))

        whole = torch.cat(next(self._orders([run])), dim=1)
        loss = float(self._step(initial, self._sets([run]), whole, add)[0])
        steepness = math.fsum(sums)
        return loss / steepness if steepness > 0 and loss > 0 else 1.0

    def _step(
        self, moving: Weights, sets: Tensor, picked: Tensor, receive: GradientReceiver
    ) -> Tensor:
        """Hand over the gradients of one step, and return its losses, (n_runs,)."""
        weights = self.parametrization.weights(moving)

        def differentiate(some: Tensor, hand_over: GradientReceiver) -> Tensor:
            batch = self.batches.take(sets, some)
            return self.backend.gradients(
                weights, self.batches.columns, batch, hand_over
            )

        handing_over = self.parametrization.chain_rule(moving, receive)
        return in_parts(picked, self.batches.n_tokens, differentiate, handing_over)

    def _failures(
        self, runs: Sequence[TrainingRun], weights: Weights, is_finite: Tensor
    ) -> list[str]:
        return [
            failure_of(
                run,
                {name: stacked[i] for name, stacked in weights.items()},
                self.parametrization.start,
                is_finite=bool(is_finite[i]),
                largest_gradient=partial(self._largest_gradient, run),
            )
            for i, run in enumerate(runs)
        ]

    def _largest_gradient(self, run: TrainingRun) -> float:
        """Find the largest entry in the first step that has a gradient, or 0."""
        initial, largest = unstacked(self.parametrization.initial()), [0.0]

        def note(_: str, gradient: Gradient) -> None:
            largest.extend(abs(float(end)) for end in materialize(gradient).aminmax())

        for picked in next(self._orders([run])):
            self._step(initial, self._sets([run]), picked, note)
            if max(largest) > 0:
                return max(largest)
        return 0.0

    def _initial_parameters(self, n_runs: int) -> Weights:
        """Copy the initial numbers for each run, in float32 or wider."""
        return {
            name: p.to(widened(p.dtype)).expand(n_runs, *p.shape[1:]).clone()
            for name, p in self.parametrization.initial().items()
        }

    def _sets(self, runs: Sequence[TrainingRun]) -> Tensor:
        return torch.tensor([r.index for r in runs], device=self.batches.ids.device)

    def _rates(self, runs: Sequence[TrainingRun]) -> Tensor:
        rates, device = [run.rate for run in runs], self.batches.ids.device
        return torch.tensor(rates, dtype=torch.float64, device=device)

    def _orders(self, runs: Sequence[TrainingRun]) -> Iterator[tuple[Tensor, ...]]:
        """Yield, for each pass, the examples of every step, shape (n_runs, size)."""
        n = self.batches.n_examples
        size = self.settings.batch_size or n
        generators = [np.random.default_rng(run.seed) for run in runs]
        for done in count():
            shuffle = done > 0 and self.settings.reshuffled
            orders = [
                rng.permutation(n) if shuffle else np.arange(n) for rng in generators
            ]
            picked = torch.from_numpy(np.stack(orders)).to(self.batches.ids.device)
            yield torch.split(picked, size, dim=1)
