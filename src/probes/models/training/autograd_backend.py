"""Gradients by autograd, for every architecture."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.frozen_layers import FrozenLayers
from probes.models.training.label_batches import Batch, LabelBatches, log_probs_among
from probes.models.weights.gradients import GradientReceiver
from probes.models.weights.parameter_groups import lowest_layer
from probes.models.weights.stacks import Weights, bytes_of

VMAP_BYTES = 1 << 28
"""Weights of all runs in one stack. A run needs about four times its weights."""
STACKED_TOKENS = 128
"""With more tokens in a step, arithmetic takes most of the time and stacking by vmap
gains nothing. On 260 K weights it is 1.8 times faster at 48 tokens, 1.2 times at 100,
and 0.9 times at 240."""


Loss = Callable[..., Tensor]
"""The loss of one run's weights on its examples."""


class AutogradBackend:
    """Computes gradients through the library's own modules (a ``GradientBackend``).

    ``vmap`` stacks runs where the architecture allows it. Frozen layers at the bottom
    are run once and replayed.

    Args:
        model: The loaded model. Its weights stay as they are.
        start: The model's weights that are trained, by name.
        candidates: See ``LabelBatches``.
    """

    gradients_held: Literal["all", "largest"] = "all"
    n_threads = 1

    def __init__(
        self,
        model: CausalLM,
        start: Mapping[str, Tensor],
        candidates: Tensor | None = None,
    ) -> None:
        self.model, self.candidates = model, candidates
        layer = lowest_layer(start)
        self.replay = FrozenLayers(model.model, layer) if layer else None
        self._n_bytes = bytes_of(start)
        self._vmap_works = True

    def stack_size(self, n_tokens: int) -> int:
        """Stack small steps only, as many as ``VMAP_BYTES`` allow."""
        if n_tokens > STACKED_TOKENS or not self._vmap_works:
            return 1
        return VMAP_BYTES // self._n_bytes

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
            gradients, losses = _one_by_one(loss, weights, batch)
        else:
            gradients, losses = self._stacked(loss, weights, batch)
        for name, gradient in gradients.items():
            receive(name, gradient)
        return losses

    def _stacked(
        self, loss: Loss, weights: Weights, batch: Batch
    ) -> tuple[Weights, Tensor]:
        """Differentiate all runs at once, or one by one where ``vmap`` cannot go."""
        if self._vmap_works:
            try:
                # Only this kernel works with vmap. Where vmap warns, as it does of
                # choices among experts, it would run one by one itself, and slowly.
                with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
                    warnings.filterwarnings("error", "There is a performance drop")
                    return vmap(grad_and_value(loss))(weights, *batch)
            except torch.OutOfMemoryError:
                raise
            except (RuntimeError, ValueError, UserWarning):
                self._vmap_works = False
        return _one_by_one(loss, weights, batch)

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
        log_probs = log_probs_among(logits[rows, reads], self.candidates)
        answers = log_probs.gather(-1, targets[..., None])[..., 0]
        return -(answers * shares).sum() / len(ids)


def _one_by_one(loss: Loss, weights: Weights, batch: Batch) -> tuple[Weights, Tensor]:
    """Differentiate run by run; one run's weights have no leading axis."""
    n_runs = len(batch[0])
    of_runs, losses = [], []
    for run in range(n_runs):
        own = {
            name: (w if n_runs == 1 else w[run]).detach().requires_grad_()
            for name, w in weights.items()
        }
        value = loss(own, *(t[run] for t in batch))
        leaves = list(own.values())
        of_runs.append(
            torch.autograd.grad(
                value, leaves, allow_unused=True, materialize_grads=True
            )
        )
        losses.append(value.detach())
    if n_runs == 1:
        return dict(zip(weights, of_runs[0], strict=True)), torch.stack(losses)
    stacked = (torch.stack(of_weight) for of_weight in zip(*of_runs, strict=True))
    return dict(zip(weights, stacked, strict=True)), torch.stack(losses)
