"""Gradients by autograd, for every architecture."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.frozen_layers import FrozenLayers
from probes.models.training.label_batches import Batch, LabelBatches
from probes.models.weights.gradients import GradientReceiver
from probes.models.weights.parameter_groups import lowest_layer
from probes.models.weights.stacks import Weights, bytes_of

VMAP_BYTES = 1 << 28
"""Weights of all runs in one stack. A run needs about four times its weights."""
STACKED_TOKENS = 128
"""With more tokens in a step, arithmetic takes most of the time and stacking by vmap
gains nothing. On 260 K weights it is 1.8 times faster at 48 tokens, 1.2 times at 100,
and 0.9 times at 240."""


class AutogradBackend:
    """Computes gradients through the library's own modules (a ``GradientBackend``).

    ``torch.func`` differentiates the forward pass with respect to the trained weights,
    ``vmap`` stacks runs, and frozen layers at the bottom are run once and replayed.

    Args:
        model: The loaded model. Its weights stay as they are.
        start: The model's weights that are trained, by name.
    """

    gradients_held: Literal["all", "largest"] = "all"
    n_threads = 1

    def __init__(self, model: CausalLM, start: Mapping[str, Tensor]) -> None:
        self.model = model
        layer = lowest_layer(start)
        self.replay = FrozenLayers(model.model, layer) if layer else None
        self._n_bytes = bytes_of(start)

    def stack_size(self, n_tokens: int) -> int:
        """Stack small steps only, as many as ``VMAP_BYTES`` allow."""
        return 1 if n_tokens > STACKED_TOKENS else VMAP_BYTES // self._n_bytes

    def record_frozen_layers(self, batches: LabelBatches) -> LabelBatches:
        """Run the layers below the lowest that is trained, once."""
        if self.replay is None:
            return batches
        self.model.count(len(batches.ids))
        return batches.replayed(self.replay)

    def gradients(
        self,
        weights: Weights,
        columns: Tensor,
        batch: Batch,
        receive: GradientReceiver,
    ) -> Tensor:
        """Compute all gradients, then hand them over (see ``GradientBackend``)."""

        def loss(weights: Weights, *examples: Tensor) -> Tensor:
            return self.training_loss(weights, columns, *examples)

        if len(batch[0]) == 1:
            gradients, value = grad_and_value(loss)(weights, *(t[0] for t in batch))
            losses: Tensor = value[None]
        else:
            with sdpa_kernel(SDPBackend.MATH):  # the only one that vmap supports
                gradients, losses = vmap(grad_and_value(loss))(weights, *batch)
        for name, gradient in gradients.items():
            receive(name, gradient)
        return losses

    def training_loss(
        self, weights: Weights, columns: Tensor, *examples: Tensor
    ) -> Tensor:
        """Compute the loss that training reduces: here the label loss itself."""
        return self.label_loss(weights, columns, *examples)

    def label_loss(
        self,
        weights: Weights,
        columns: Tensor,
        ids: Tensor,
        reads: Tensor,
        targets: Tensor,
        shares: Tensor,
        hidden: Tensor | None = None,
    ) -> Tensor:
        """Average over examples the mean cross-entropy of label tokens, in nats.

        Args:
            weights: One run's weights, in the shapes of the model's own.
            columns: The positions at which logits are formed, shape (n_columns,).
            ids: Token ids, shape (n_examples, n_tokens).
            reads: The column that predicts each answer token, (n_examples, n_answer).
            targets: The answer tokens, same shape.
            shares: The weight of each answer token, same shape.
            hidden: The input of the lowest trained layer, if it was recorded.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.model.tuned(weights))
            if self.replay is not None and hidden is not None:
                stack.enter_context(self.replay.beginning_with(hidden))
            logits = self.model.logits(ids, columns)
        rows = torch.arange(len(ids), device=ids.device)[:, None]
        log_probs = torch.log_softmax(logits[rows, reads], dim=-1)
        answers = log_probs.gather(-1, targets[..., None])[..., 0]
        return -(answers * shares).sum() / len(ids)
