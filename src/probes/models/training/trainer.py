"""Training on demonstrations: many sets and rates at once, the model left untouched.

The numbers that move are tensors of their own, in float32 or wider whatever the model's
precision. Runs of a small model are stacked or trained in threads; those of a large
model are trained one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import torch

from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.training.autograd_backend import AutogradBackend
from probes.models.training.gradient_backend import GradientBackend
from probes.models.training.label_batches import LabelBatches
from probes.models.training.layerwise_loss import LayerwiseBackend, weights_in_layers
from probes.models.training.llama_backend import LlamaBackend
from probes.models.training.lora import PREFIX, RANK, LoRA
from probes.models.training.parametrization import (
    FullWeights,
    Parametrization,
    WeightParts,
)
from probes.models.training.run_groups import RunGroups, Runs
from probes.models.training.settings import TrainingSettings
from probes.models.training.training_loop import TrainingLoop
from probes.models.training.training_runs import ReadWeights, TrainedWeights
from probes.models.weights.parameter_groups import parameters_of
from probes.models.weights.stacks import Weights
from probes.models.weights.weight_parts import WeightPart, parts_of, parts_text


class Trainer:
    """Trains a model on demonstration sets.

    Use :func:`trainer_for` to build one from settings.

    Args:
        settings: Optimizer and batch size.
        batches: The demonstrations of every set.
        parametrization: The numbers that move.
        parts: The tensors that move, or the matrices within them.
        backend: Computes gradients.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        batches: LabelBatches,
        *,
        parametrization: Parametrization,
        parts: Sequence[WeightPart],
        backend: GradientBackend,
    ) -> None:
        self.parts = parts
        self.start, self.backend = parametrization.start, backend
        self.loop = TrainingLoop(
            settings=settings,
            parametrization=parametrization,
            backend=backend,
            batches=backend.record_frozen_layers(batches),
        )
        self.run_groups = RunGroups(loop=self.loop)

    @property
    def moved(self) -> str:
        """The tensors that move and the number of their weights, in words."""
        text = parts_text(self.parts, self.start)
        if self.loop.settings.weights.startswith(PREFIX):
            text += f", by changes of rank {RANK}"
        return text

    def groups(self, runs: Runs) -> Iterator[Runs]:
        """Cut runs into groups that are trained at once, stacked or in threads."""
        return self.run_groups.groups(runs)

    def run(self, runs: Runs, passes: int) -> TrainedWeights:
        """Train a group of runs from the model's weights.

        Args:
            runs: One of :meth:`groups`.
            passes: Passes over the demonstrations.

        Raises:
            ModelError: Memory runs out with a single run.
        """
        parts = self.run_groups.map(lambda some: self.loop.train(some, passes), runs)
        if len(parts) == 1:
            return parts[0]
        names = parts[0].weights
        return TrainedWeights(
            weights={n: torch.cat([part.weights[n] for part in parts]) for n in names},
            failures=[failure for part in parts for failure in part.failures],
        )

    def walk(self, runs: Runs, places: Sequence[int], read: ReadWeights) -> None:
        """Train a group of runs, and read their weights on the way.

        Args:
            runs: One of :meth:`groups`.
            places: The numbers of passes at which the weights are read, ascending.
            read: Reads the weights of some of the runs. It must not keep them, because
                training goes on in place. It is called again, with fewer runs, where
                memory ran out.

        Raises:
            ModelError: Memory runs out with a single run.
        """
        self.run_groups.map(lambda some: self._walk(some, places, read), runs)

    def _walk(self, stack: Runs, places: Sequence[int], read: ReadWeights) -> None:
        for n, one_pass in enumerate(islice(self.loop.walk(stack), places[-1]), 1):
            if n in places:
                read(stack, n, self.loop.checked(stack, one_pass))

    def update_norms(self, weights: Weights) -> list[float]:
        """Measure how far each part moved: Euclidean norms, in the parts' order."""
        norms = []
        for part in self.parts:
            was, now = (w[part.name].detach().float() for w in (self.start, weights))
            norms.append(float((part.read(now) - part.read(was)).norm()))
        return norms

    def moved_randomly(self, norms: Sequence[float], seed: int) -> Weights:
        """Move each part in a Gaussian direction, as far as its norm says."""
        generator = torch.Generator().manual_seed(seed)
        moved: Weights = {}
        for part, norm in zip(self.parts, norms, strict=True):
            whole = moved.get(part.name, self.start[part.name].detach().float().cpu())
            was = part.read(whole)
            noise = torch.randn(was.shape, generator=generator)
            moved[part.name] = part.write(whole, was + noise * (norm / noise.norm()))
        return {name: w.to(self.start[name]) for name, w in moved.items()}


def trainer_for(
    model: CausalLM, settings: TrainingSettings, batches: LabelBatches
) -> Trainer:
    """Build the trainer that settings ask for, with the fastest backend there is.

    Args:
        model: The loaded model. Its weights stay as they are.
        settings: Optimizer, batch size, weights and loss.
        batches: The demonstrations of every set.

    Raises:
        OptionError: The settings name weights that the model does not have.
    """
    parts = parts_of(model.model, settings.weights)
    start = parameters_of(model.model, settings.weights)
    backend: GradientBackend
    if settings.loss == "layerwise":
        start = weights_in_layers(start)
        parts = [part for part in parts if part.name in start]
        backend = LayerwiseBackend(model, start, batches)
    elif model.fast_path is None:
        backend = AutogradBackend(model, start, batches.candidates)
    else:
        backend = LlamaBackend(
            model.fast_path,
            start,
            candidates=batches.candidates,
            count_passes=model.count,
        )
    return Trainer(
        settings,
        batches,
        parametrization=_parametrization(settings, start, parts),
        parts=parts,
        backend=backend,
    )


def _parametrization(
    settings: TrainingSettings, start: Weights, parts: Sequence[WeightPart]
) -> Parametrization:
    if settings.weights.startswith(PREFIX):
        return LoRA(start, parts)
    if any(part.rows is not None for part in parts):
        return WeightParts(start, parts)
    return FullWeights(start)
