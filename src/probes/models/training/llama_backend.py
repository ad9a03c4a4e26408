"""Gradients of the Llama family, written out: the fast path of training."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from probes.models.llama.axes import split
from probes.models.llama.backward import BackwardPass
from probes.models.llama.linear_maps import EMBEDDING
from probes.models.llama.model import Llama
from probes.models.llama.packed_attention import PackedAttention
from probes.models.llama.rotary import RotaryAngles
from probes.models.runtime.thread_pool import n_threads_for
from probes.models.training.label_batches import Batch, LabelBatches, log_probs_among
from probes.models.weights.gradients import GradientReceiver
from probes.models.weights.parameter_groups import lowest_layer
from probes.models.weights.stacks import Weights, bytes_of, n_per_stack

TOKENS_PER_STEP = 4096
"""Tokens in one step of all runs of a stack."""
MAX_LAYOUTS = 32
"""Layouts kept at a time. Each holds a few numbers for every token and head."""

Layout = tuple[PackedAttention, list[RotaryAngles]]
"""Packed examples, and their tokens' rotary angles in every layer."""


class LlamaBackend:
    """Computes gradients by ``llama.backward`` (a ``GradientBackend``).

    Args:
        llama: The model, written out.
        start: The model's weights that are trained, by name.
        candidates: See ``LabelBatches``.
        count_passes: Called with the number of forward passes made.
    """

    gradients_held: Literal["all", "largest"] = "largest"

    def __init__(
        self,
        llama: Llama,
        start: Mapping[str, Tensor],
        *,
        candidates: Tensor | None = None,
        count_passes: Callable[[int], None] = lambda n: None,
    ) -> None:
        self.candidates = candidates
        self.llama, self.first_layer = llama, lowest_layer(start)
        self._n_bytes, self._count_passes = bytes_of(start), count_passes
        self._norm_scale = f"model.layers.{self.first_layer}.input_layernorm.weight"
        self._frozen = _frozen_projections(llama, self.first_layer, start)
        self._layouts: dict[tuple[Any, ...], Layout] = {}
        self._layouts_lock = threading.Lock()

    @property
    def n_threads(self) -> int:
        """Train runs in threads if their weights are too large for a stack."""
        if n_per_stack(self._n_bytes, self.llama.device) > 1:
            return 1
        return n_threads_for(self.llama.n_bytes, self.llama.device)

    def stack_size(self, n_tokens: int) -> int:
        """Stack as many runs as the cache and ``TOKENS_PER_STEP`` allow."""
        stacked = n_per_stack(self._n_bytes, self.llama.device)
        return min(stacked, TOKENS_PER_STEP // n_tokens)

    def record_frozen_layers(self, batches: LabelBatches) -> LabelBatches:
        """Run the layers below the lowest that is trained, once."""
        if not self.first_layer:
            return batches
        self._count_passes(len(batches.ids))
        return replace(batches, hidden=self.record(batches.ids))

    def record(self, ids: Tensor) -> Tensor:
        """Compute the input of the lowest trained layer and its frozen projections.

        Args:
            ids: Token ids, shape (n_sets, n_examples, n_tokens), padded on the right.

        Returns:
            Both, side by side, shape (n_sets, n_examples, n_tokens, d).
        """
        distinct, which = torch.unique(ids.flatten(0, 1), dim=0, return_inverse=True)
        reads = torch.zeros_like(distinct[None, :, :1])  # required, but not used
        lengths = torch.full_like(reads[..., 0], ids.shape[2])
        attention = PackedAttention.of(lengths, reads)
        with torch.no_grad():
            hidden = self.llama.hidden_before(
                self.first_layer, distinct.flatten()[None], attention
            )
            normalized = self.llama.norm(hidden, self._norm_scale, {})
            projected = [
                self.llama.linear(normalized, name, {}) for name in self._frozen
            ]
            both = torch.cat((hidden, *projected), dim=-1)[0]
        return split(split(both, 0, *distinct.shape)[which], 0, *ids.shape[:2])

    def gradients(
        self,
        weights: Weights,
        columns: Tensor,
        batch: Batch,
        receive: GradientReceiver,
    ) -> Tensor:
        """Hand over each gradient as soon as it is known (see ``GradientBackend``).

        Only one gradient is in memory at a time. ``receive`` may move the weight at
        once, because nothing below needs it any more. It is not called for weights that
        the losses do not depend on.
        """
        self._count_passes(1)
        is_stack = len(batch[0]) > 1
        layout, angles = self._layout(
            columns, batch, in_one_line=is_stack and self._is_one_matrix(weights)
        )
        with torch.no_grad():
            hidden, known = self._first_input(weights, batch, layout)
            forward = BackwardPass(
                self.llama, weights, layout, angles, receive, known=known
            )
            logits, backward = forward.logits(
                hidden, start=self.first_layer, ids=layout.sequences.pack(batch[0])
            )
            log_probs = log_probs_among(logits, self.candidates)
            losses = _label_losses(log_probs, batch)
            backward(_gradient_of_logits(log_probs, batch))
        return losses

    def _layout(
        self, columns: Tensor, batch: Batch, *, in_one_line: bool = False
    ) -> Layout:
        """Pack examples up to their last token that is read; no token sees later ones.

        Every pass repeats the same steps, so the latest layouts are kept.
        """
        reads = columns[batch[1]]
        key = (in_one_line, *reads.shape, reads.cpu().numpy().tobytes())
        with self._layouts_lock:
            entry = self._layouts.pop(key, None)
            if entry is None:
                lengths = reads.amax(dim=-1) + 1
                layout = PackedAttention.of(lengths, reads, in_one_line=in_one_line)
                like = self.llama.own[EMBEDDING]
                entry = layout, self.llama.rotary_angles(like, layout.positions)
            self._layouts[key] = entry
            if len(self._layouts) > MAX_LAYOUTS:
                del self._layouts[next(iter(self._layouts))]
        return entry

    def _first_input(
        self, weights: Weights, batch: Batch, layout: PackedAttention
    ) -> tuple[Tensor, Weights]:
        """Give the input of the lowest trained layer, and its frozen projections."""
        ids, _, _, _, *recorded = batch
        if not recorded:
            return self.llama.embed(layout.sequences.pack(ids), weights), {}
        own = self.llama.own
        widths = [len(own[name + ".weight"]) for name in self._frozen]
        hidden, *projected = torch.split(
            layout.sequences.pack(recorded[0]),
            [own[EMBEDDING].shape[1], *widths],
            dim=-1,
        )
        return hidden, dict(zip(self._frozen, projected, strict=True))

    def _is_one_matrix(self, weights: Weights) -> bool:
        """Check that only one matrix of a layer is trained, with or without bias."""
        (name, *others) = {name.rpartition(".")[0] for name in weights}
        own = self.llama.own[name + ".weight"]
        return not others and own.dim() == 2 and EMBEDDING not in weights


def _frozen_projections(
    llama: Llama, layer: int, trained: Collection[str]
) -> list[str]:
    """Name the projections of a layer whose result training does not change."""
    at = f"model.layers.{layer}."
    if at + "input_layernorm.weight" in trained:
        return []
    roles = ["k_proj", "v_proj"]
    if layer < llama.n_layers - 1:  # the last layer asks from a few tokens only
        roles.append("q_proj")
    matrices = {name.rpartition(".")[0] for name in trained}
    names = [f"{at}self_attn.{role}" for role in roles]
    return [name for name in names if name not in matrices]


def _label_losses(log_probs: Tensor, batch: Batch) -> Tensor:
    """Average −log p of the answer tokens, weighted by their shares; (n_runs,)."""
    ids, _, targets, shares, *_ = batch
    right = targets.flatten(1).expand(len(log_probs), -1)
    of_right = log_probs.gather(-1, right[..., None])[..., 0]
    return -(of_right * shares.flatten(1)).sum(dim=1) / ids.shape[1]


def _gradient_of_logits(log_probs: Tensor, batch: Batch) -> Tensor:
    """Compute (p − one-hot answer), weighted; log_probs is overwritten."""
    ids, _, targets, shares, *_ = batch
    each = (shares.flatten(1) / ids.shape[1]).to(log_probs.dtype)[..., None]
    gradient = log_probs.exp_().mul_(each)
    return gradient.scatter_add_(-1, targets.flatten(1)[..., None], -each)
