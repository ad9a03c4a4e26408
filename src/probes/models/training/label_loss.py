"""Label losses and gradients of a stack of trials, by the written-out Llama family."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from probes.models.llama.axes import split
from probes.models.llama.backward import Backward, Take
from probes.models.llama.model import EMBEDDING, Llama
from probes.models.llama.packed_sequences import Blocks
from probes.models.llama.rotary import Turns
from probes.models.training.label_batches import Batch
from probes.models.weights.parameter_groups import lowest_layer
from probes.models.weights.stacks import Weights

MOST_LAYOUTS = 32
"""Kept at a time; each holds some numbers for every token and head."""


class Taught:
    """A written-out model that learns from the label tokens of examples.

    Args:
        llama: The model.
        moving: The names of the weights that move. If they all stand above some layers,
            examples bring what enters the lowest that has one, and those of its
            queries, keys and values that stay.
    """

    def __init__(self, llama: Llama, moving: Collection[str]) -> None:
        self.llama, self.start = llama, lowest_layer(moving)
        at = f"model.layers.{self.start}."
        self._scale, roles = at + "input_layernorm.weight", ["k_proj", "v_proj"]
        if self.start < llama.n_layers - 1:  # which asks from few of its tokens
            roles.append("q_proj")
        moved = {name.rpartition(".")[0] for name in moving}
        names = [f"{at}self_attn.{role}" for role in roles]
        self._staying = [name for name in names if name not in moved]
        if self._scale in moving:
            self._staying = []
        self._layouts: dict[tuple[Any, ...], tuple[Blocks, Turns]] = {}
        self._laying_out = threading.Lock()

    def record(self, ids: Tensor) -> Tensor:
        """Run the layers below the lowest that moves, and what of that one stays.

        Args:
            ids: Token ids, shape (n_sets, n_examples, n_tokens), padded on the right.

        Returns:
            What enters it and then what stays, with one axis more.
        """
        unlike, which = torch.unique(ids.flatten(0, 1), dim=0, return_inverse=True)
        reads = torch.zeros_like(unlike[None, :, :1])  # none are; every layout has some
        layout = Blocks.of(torch.full_like(reads[..., 0], ids.shape[2]), reads)
        with torch.no_grad():
            hidden = self.llama.below(unlike.flatten()[None], layout, self.start)
            entered = self.llama.norm(hidden, self._scale, {})
            stays = [self.llama.linear(entered, name, {}) for name in self._staying]
            found = torch.cat((hidden, *stays), dim=-1)[0]
        return split(split(found, 0, *unlike.shape)[which], 0, *ids.shape[:2])

    def losses(self, weights: Weights, columns: Tensor, batch: Batch) -> Tensor:
        """Average over examples the mean cross-entropy of label tokens, in nats.

        Args:
            weights: Those that move, shape (n_trials, …), or of one trial alone.
            columns: The positions that ``reads`` counts in, shape (n_columns,).
            batch: What ``LabelBatches.take`` gives; of one trial, if all see the same.

        Returns:
            Shape (n_trials,).
        """
        layout, _ = self._layout(columns, batch)
        hidden, _ = self._entering(weights, batch, layout)
        logits = self.llama.logits(hidden, layout, weights, start=self.start)
        return _label_loss(torch.log_softmax(logits, dim=-1), batch)

    def _layout(
        self, columns: Tensor, batch: Batch, *, in_one_line: bool = False
    ) -> tuple[Blocks, Turns]:
        """Lay out examples up to the last token that is read: none sees what follows.

        Steps come again in every pass, so the layouts of some are kept.
        """
        reads = columns[batch[1]]
        key = (in_one_line, *reads.shape, reads.cpu().numpy().tobytes())
        with self._laying_out:
            found = self._layouts.pop(key, None)
            if found is None:
                lengths = reads.amax(dim=-1) + 1
                layout = Blocks.of(lengths, reads, in_one_line=in_one_line)
                like = self.llama.own[EMBEDDING]
                found = layout, self.llama.turns(like, layout.positions)
            self._layouts[key] = found
            if len(self._layouts) > MOST_LAYOUTS:
                del self._layouts[next(iter(self._layouts))]
        return found

    def _entering(
        self, weights: Weights, batch: Batch, layout: Blocks
    ) -> tuple[Tensor, Weights]:
        """Give what enters the lowest layer, and by name what of it is known."""
        ids, _, _, _, *recorded = batch
        if not recorded:
            return self.llama.embed(layout.line_up(ids), weights), {}
        own = self.llama.own
        widths = [len(own[name + ".weight"]) for name in self._staying]
        hidden, *known = torch.split(
            layout.line_up(recorded[0]), [own[EMBEDDING].shape[1], *widths], dim=-1
        )
        return hidden, dict(zip(self._staying, known, strict=True))

    def teach(
        self, weights: Weights, columns: Tensor, batch: Batch, take: Take
    ) -> Tensor:
        """Take every trial's gradient, and hand each over as soon as it is there.

        No gradient waits for the others, so that one at a time is held, and whoever
        takes it may move the weights at once: nothing below needs them any more.

        Args:
            weights: Those that move, shape (n_trials, …), or of one trial alone.
            columns: The positions that ``reads`` counts in, shape (n_columns,).
            batch: What ``LabelBatches.take`` gives.
            take: Called with a name and its gradient, in the weight's shape; not called
                for weights that the losses do not depend on.

        Returns:
            The losses, shape (n_trials,).
        """
        alone = len(batch[0]) == 1
        layout, turns = self._layout(
            columns, batch, in_one_line=not alone and self._is_one_matrix(weights)
        )
        with torch.no_grad():
            hidden, known = self._entering(weights, batch, layout)
            back = Backward(self.llama, weights, layout, turns, take, known=known)
            logits, descend = back.logits(
                hidden, start=self.start, ids=layout.line_up(batch[0])
            )
            log_probs = torch.log_softmax(logits, dim=-1)
            losses = _label_loss(log_probs, batch)
            descend(_back_to_logits(log_probs, batch))
        return losses

    def _is_one_matrix(self, weights: Weights) -> bool:
        """Say whether all that moves is a matrix of a layer, perhaps with its bias."""
        (name, *others) = {name.rpartition(".")[0] for name in weights}
        own = self.llama.own[name + ".weight"]
        return not others and own.dim() == 2 and EMBEDDING not in weights


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
