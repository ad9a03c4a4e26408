"""Label losses and gradients of a stack of trials, by the written-out Llama family."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from probes.networks.axes import split
from probes.networks.blocks import Blocks
from probes.networks.descent import Weights
from probes.networks.lessons import Batch
from probes.networks.llama import EMBEDDING, Llama

Take = Callable[[str, Tensor], None]
"""What is done with a gradient: given the name of a weight, and its gradient."""


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
        ids, reads, targets, shares, *_ = batch
        layout = Blocks(reads=columns[reads], n_tokens=ids.shape[2])
        logits = self.llama.logits(entering, layout, weights, start=self.start)
        log_probs = torch.log_softmax(logits, dim=-1)
        wanted = targets.flatten(1).expand(len(log_probs), -1)
        picked = log_probs.gather(-1, wanted[..., None])[..., 0]
        return -(picked * shares.flatten(1)).sum(dim=1) / ids.shape[1]

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
        leaves = {
            name: (w[0] if alone else w).detach().requires_grad_()
            for name, w in weights.items()
        }
        for name, leaf in leaves.items():
            if name != EMBEDDING:
                hook = _handing(name, take, alone)
                leaf.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            entering = self._entering(leaves, batch)
        if EMBEDDING in leaves:
            entering.requires_grad_()
        losses = self._losses(leaves, columns, batch, entering)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        if EMBEDDING in leaves:
            leaf = leaves[EMBEDDING]
            gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
            _add_rows(gradient, batch[0].flatten(1), entering.grad)
            take(EMBEDDING, gradient[None] if alone else gradient)
        return losses.detach()


def _handing(name: str, take: Take, alone: bool) -> Callable[[Tensor], None]:
    """Make what hands a weight's gradient over and forgets it."""

    def hand(leaf: Tensor) -> None:
        gradient, leaf.grad = leaf.grad, None
        assert gradient is not None
        take(name, gradient[None] if alone else gradient)

    return hand


def _trimmed(columns: Tensor, batch: Batch) -> Batch:
    """Drop the tokens after the last that is read: nothing that is read sees them."""
    ids, reads, targets, shares, *hidden = batch
    width = int(columns[reads].max()) + 1
    kept = [h[:, :, :width] for h in hidden]
    return (ids[:, :, :width], reads, targets, shares, *kept)


def _add_rows(gradient: Tensor, ids: Tensor, at_entry: Tensor | None) -> None:
    """Add to an embedding's gradient, in place, what reached the tokens looked up.

    Autograd would write a second gradient as large as the embedding, of zeros but for
    these rows, and add the two.
    """
    assert at_entry is not None
    if gradient.dim() == 2:
        gradient.index_add_(0, ids[0], at_entry[0].to(gradient.dtype))
        return
    stack = torch.arange(len(ids), device=ids.device)[:, None].expand_as(ids)
    gradient.index_put_((stack, ids), at_entry.to(gradient.dtype), accumulate=True)
