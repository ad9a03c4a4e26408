"""Label losses and gradients of a stack of trials, by the written-out Llama family."""

from __future__ import annotations

import torch
from torch import Tensor

from probes.networks.axes import split
from probes.networks.backward import Backward, Take
from probes.networks.blocks import Blocks
from probes.networks.descent import Weights, unstacked
from probes.networks.lessons import Batch
from probes.networks.llama import Llama


class Taught:
    """A written-out model that learns from the label tokens of examples.

    Args:
        llama: The model.
        start: The lowest layer whose weights move; examples bring what enters it.
    """

    def __init__(self, llama: Llama, start: int) -> None:
        self.llama, self.start = llama, start

    def record(self, ids: Tensor) -> Tensor:
        """Run the layers below the lowest that moves.

        Args:
            ids: Token ids, shape (n_sets, n_examples, n_tokens), padded on the right.

        Returns:
            What enters it, with one axis d_model more.
        """
        unlike, which = torch.unique(ids.flatten(0, 1), dim=0, return_inverse=True)
        reads = torch.zeros_like(unlike[None, :, :1])  # none are; every layout has some
        layout = Blocks(reads=reads, n_tokens=ids.shape[2])
        with torch.no_grad():
            hidden = self.llama.below(unlike.flatten()[None], layout, self.start)
        return split(split(hidden[0], 0, *unlike.shape)[which], 0, *ids.shape[:2])

    def losses(self, weights: Weights, columns: Tensor, batch: Batch) -> Tensor:
        """Average over examples the mean cross-entropy of label tokens, in nats.

        Args:
            weights: Those that move, shape (n_trials, …), or of one trial alone.
            columns: The positions that ``reads`` counts in, shape (n_columns,).
            batch: What ``Lessons.take`` gives; of one trial, if all see the same.

        Returns:
            Shape (n_trials,).
        """
        batch = _trimmed(columns, batch)
        return self._losses(weights, columns, batch, self._entering(weights, batch))

    def _entering(self, weights: Weights, batch: Batch) -> Tensor:
        ids, _, _, _, *hidden = batch
        if hidden:
            return hidden[0].flatten(1, 2)
        return self.llama.embed(ids.flatten(1), weights)

    def _losses(
        self, weights: Weights, columns: Tensor, batch: Batch, entering: Tensor
    ) -> Tensor:
        layout = _layout(columns, batch)
        logits = self.llama.logits(entering, layout, weights, start=self.start)
        return _label_loss(torch.log_softmax(logits, dim=-1), batch)

    def teach(
        self, weights: Weights, columns: Tensor, batch: Batch, take: Take
    ) -> Tensor:
        """Take every trial's gradient, and hand each over as soon as it is there.

        No gradient waits for the others, so that one at a time is held, and whoever
        takes it may move the weights at once: nothing below needs them any more.

        Args:
            weights: Those that move, shape (n_trials, …).
            columns: The positions that ``reads`` counts in, shape (n_columns,).
            batch: What ``Lessons.take`` gives.
            take: Called with a name and its gradient, shape (n_trials, …); not called
                for weights that the losses do not depend on.

        Returns:
            The losses, shape (n_trials,).
        """
        alone, batch = len(batch[0]) == 1, _trimmed(columns, batch)
        moving = unstacked(weights)

        def hand(name: str, gradient: Tensor) -> None:
            take(name, gradient[None] if alone else gradient)

        with torch.no_grad():
            back = Backward(self.llama, moving, _layout(columns, batch), hand)
            logits, descend = back.logits(
                self._entering(moving, batch), start=self.start, ids=batch[0].flatten(1)
            )
            log_probs = torch.log_softmax(logits, dim=-1)
            losses = _label_loss(log_probs, batch)
            descend(_back_to_logits(log_probs, batch))
        return losses


def _layout(columns: Tensor, batch: Batch) -> Blocks:
    ids, reads, *_ = batch
    return Blocks(reads=columns[reads], n_tokens=ids.shape[2])


def _label_loss(log_probs: Tensor, batch: Batch) -> Tensor:
    """Average −log p of the answer tokens, each with its share; shape (n_stacks,)."""
    ids, _, targets, shares, *_ = batch
    wanted = targets.flatten(1).expand(len(log_probs), -1)
    picked = log_probs.gather(-1, wanted[..., None])[..., 0]
    return -(picked * shares.flatten(1)).sum(dim=1) / ids.shape[1]


def _back_to_logits(log_probs: Tensor, batch: Batch) -> Tensor:
    """Give the gradient of the label loss: what is believed less what is right."""
    ids, _, targets, shares, *_ = batch
    each = (shares.flatten(1) / ids.shape[1]).to(log_probs.dtype)[..., None]
    gradient = log_probs.exp_().mul_(each)
    return gradient.scatter_add_(-1, targets.flatten(1)[..., None], -each)


def _trimmed(columns: Tensor, batch: Batch) -> Batch:
    """Drop the tokens after the last that is read: nothing that is read sees them."""
    ids, reads, targets, shares, *hidden = batch
    width = int(columns[reads].max()) + 1
    kept = [h[:, :, :width] for h in hidden]
    return (ids[:, :, :width], reads, targets, shares, *kept)
