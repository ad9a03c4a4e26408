"""The seam between a training loop and the code that computes its gradients."""

from __future__ import annotations

from typing import Literal, Protocol

from torch import Tensor

from probes.models.training.label_batches import Batch, LabelBatches
from probes.models.weights.gradients import GradientReceiver
from probes.models.weights.stacks import Weights


class GradientBackend(Protocol):
    """Computes label losses and their gradients for a stack of training runs.

    ``AutogradBackend`` works for every architecture. ``LlamaBackend`` is faster for the
    Llama family. ``LayerwiseBackend`` gives every layer a loss of its own.
    """

    @property
    def gradients_held(self) -> Literal["all", "largest"]:
        """How many gradients are in memory at once, to plan for their size."""

    @property
    def n_threads(self) -> int:
        """How many runs train in parallel threads; 1 if runs are stacked instead."""

    def stack_size(self, n_tokens: int) -> int:
        """Choose how many runs are trained as one stack.

        Args:
            n_tokens: Tokens in each run's step.

        Returns:
            A number of runs. Below 1 means that not even one fits the goal; the caller
            then trains one at a time.
        """

    def record_frozen_layers(self, batches: LabelBatches) -> LabelBatches:
        """Run the layers below the lowest that is trained, once, and keep the result.

        Args:
            batches: Examples. They come back unchanged if all layers are trained.
        """

    def gradients(
        self,
        weights: Weights,
        columns: Tensor,
        batch: Batch,
        receive: GradientReceiver,
    ) -> Tensor:
        """Compute the gradient of each run's training loss.

        Args:
            weights: Those that are trained, shape (n_runs, …); one run's have no
                leading axis.
            columns: The positions that ``reads`` counts in, shape (n_columns,).
            batch: One step's examples, as ``LabelBatches.take`` returns them.
            receive: Called with each weight's name and gradient, in the weight's shape.
                It may change the weight in place.

        Returns:
            The losses before the step, in nats, shape (n_runs,).
        """
