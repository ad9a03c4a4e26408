"""Gradients of the Llama family, written out as ``model`` writes out its answers.

A weight's gradient is handed over as soon as it is known. From then on nothing needs
the weight, and only then may it be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from probes.models.llama.activation import cap_logits, cap_logits_backward
from probes.models.llama.axes import select_tokens, split
from probes.models.llama.backward_parts import (
    Backward,
    LayerParts,
    add_gradients,
    through,
)
from probes.models.llama.linear_maps import EMBEDDING, NamedWeights
from probes.models.llama.model import Llama
from probes.models.llama.packed_attention import PackedAttention
from probes.models.llama.rotary import RotaryAngles
from probes.models.weights.gradients import GradientReceiver, add_rows


class BackwardPass:
    """One forward and backward pass through a model that is trained.

    Args:
        llama: The model.
        weights: Those that are trained, as in ``Llama.logits``.
        attention: Which token attends to which.
        angles: The tokens' rotary angles in every layer.
        receive: Called with each gradient, in the weight's shape. It may change the
            weight in place.
        known: By name, results of the lowest layer's matrices that training does not
            change. They may be overwritten.
    """

    def __init__(
        self,
        llama: Llama,
        weights: NamedWeights,
        attention: PackedAttention,
        angles: Sequence[RotaryAngles],
        receive: GradientReceiver,
        *,
        known: NamedWeights,
    ) -> None:
        self.llama, self.weights = llama, weights
        self.attention, self.sequences = attention, attention.sequences
        self.angles, self._receive = angles, receive
        self.parts = LayerParts(llama, weights, self.sequences, receive, known=known)

    def logits(
        self, hidden: Tensor, *, start: int, ids: Tensor
    ) -> tuple[Tensor, Callable[[Tensor], None]]:
        """Run the layers (see ``Llama.logits``), and return the backward pass too.

        Args:
            hidden: The input of layer ``start``, shape (n_lines, n_tokens, d_model).
            start: The lowest layer with a trained weight; 0 if the embedding is one.
            ids: The tokens, shape (n_lines, n_tokens).

        Returns:
            Logits, shape (n_stacks, n_rows, n_vocab), float32 or wider; and a function
            that takes their gradient and hands over those of all weights. It may be
            called once.
        """
        layers, wanted = [], EMBEDDING in self.weights
        for layer in range(start, self.llama.n_layers):
            hidden, layer_backward = self._layer(layer, hidden, wanted)
            layers.append(layer_backward)
            wanted = layer_backward is not None
        normalized, norm_backward = self.parts.norm(hidden, "model.norm", wanted)
        logits, head_backward = self.parts.linear(
            normalized, self.llama.head, norm_backward is not None, of_rows=True
        )
        cap = self.llama.design.logit_cap
        logits = cap_logits(logits, cap)

        def backward(gradient: Tensor) -> None:
            gradient = self.sequences.in_lines(gradient.to(logits.dtype), of_rows=True)
            gradient = cap_logits_backward(gradient, logits, cap)
            below = through(head_backward, gradient)
            below = through(norm_backward, below)
            while layers:
                below = through(layers.pop(), below)
            if EMBEDDING in self.weights:
                self._send_embedding(ids, below)

        wide = logits.float() if logits.dtype.itemsize < 4 else logits
        return self.sequences.by_stack(wide, of_rows=True), backward

    def _layer(
        self, layer: int, hidden: Tensor, wanted: bool
    ) -> tuple[Tensor, Backward]:
        """Run a layer, the last one only at the tokens that are read."""
        at, of_rows = f"model.layers.{layer}.", layer == self.llama.n_layers - 1
        parts, design = self.parts, self.llama.design
        normalized, first_norm = parts.norm(hidden, at + "input_layernorm", wanted)
        seen, attention = self._attention(layer, normalized, first_norm is not None)
        middle, projection = parts.linear(
            seen, at + "self_attn.o_proj", attention is not None, of_rows=of_rows
        )
        middle, projection = parts.output_norm(
            middle, at, design.norm_after_attention, projection
        )
        middle = middle.add_(select_tokens(hidden, self.rows) if of_rows else hidden)
        is_middle_wanted = wanted or projection is not None
        normalized, second_norm = parts.norm(
            middle, at + design.norm_before_mlp, is_middle_wanted
        )
        output, mlp = parts.mlp(
            at + "mlp.", normalized, second_norm is not None, of_rows=of_rows
        )
        output, mlp = parts.output_norm(output, at, design.norm_after_mlp, mlp)
        output = output.add_(middle)
        if not is_middle_wanted and mlp is None:
            return output, None

        def backward(gradient: Tensor) -> Tensor | None:
            new = through(second_norm, through(mlp, gradient))
            if not is_middle_wanted:
                return None
            if new is not None:
                gradient.add_(new)
            new = through(attention, through(projection, gradient))
            new = through(first_norm, new)
            if not wanted or new is None:
                return None
            return self._add(new, gradient, of_rows)

        return output, backward

    def _attention(
        self, layer: int, x: Tensor, wanted: bool
    ) -> tuple[Tensor, Backward]:
        """Attend, in the last layer only from the tokens that are read."""
        at = f"model.layers.{layer}.self_attn."
        of_rows = layer == self.llama.n_layers - 1
        query, to_query = self._query(layer, x, at + "q_proj", wanted)
        key, to_key = self.parts.rotated_heads(
            x, at + "k_proj", self.angles[layer], wanted
        )
        of_scores = not (to_query is None and to_key is None)
        is_frozen = not wanted and not of_scores
        if of_rows and is_frozen and self._can_apply_values_late(at + "v_proj"):
            return self._attention_before_values(layer, query, key, x)
        value, to_value = self.parts.linear(x, at + "v_proj", wanted)
        seen, to_all = self.attention.with_backward(
            query,
            key,
            split(value, -1, -1, self.llama.d_head),
            window=self.llama.design.windows[layer],
            of_rows=of_rows,
            of_scores=of_scores,
        )
        if is_frozen and to_value is None:
            return seen, None

        def backward(gradient: Tensor) -> Tensor | None:
            of_query, of_key, of_value = to_all(gradient)
            new = through(to_value, of_value.flatten(2))
            if of_key is not None and to_key is not None:
                new = add_gradients(new, to_key(of_key))
            if of_query is not None and to_query is not None:
                of_asking = to_query(of_query)
                if of_asking is not None and new is not None:
                    new = self._add(new, of_asking, of_rows)
            return new

        return seen, backward

    def _query(
        self, layer: int, x: Tensor, name: str, wanted: bool
    ) -> tuple[Tensor, Backward]:
        """Compute scaled queries, in the last layer of the tokens that are read."""
        angles = self.angles[layer].scaled_for_queries
        of_rows = layer == self.llama.n_layers - 1
        if of_rows:
            x = select_tokens(x, self.rows)
            angles = angles.map(lambda t: select_tokens(t, self.rows))
        return self.parts.rotated_heads(x, name, angles, wanted, of_rows=of_rows)

    def _can_apply_values_late(self, name: str) -> bool:
        """Check that only a stack of W_V is trained, without its bias."""
        is_stack = self.parts.is_stack(f"{name}.weight")
        return is_stack and f"{name}.bias" not in self.weights

    def _attention_before_values(
        self, layer: int, query: Tensor, key: Tensor, x: Tensor
    ) -> tuple[Tensor, Backward]:
        """Apply a stack of W_V after attention: to what is read, not to all tokens."""
        llama, name = self.llama, f"model.layers.{layer}.self_attn.v_proj"
        seen = self.attention.attend_from_rows(
            query, key, x[:, :, None], layer=layer, window=llama.design.windows[layer]
        )
        seen = self.sequences.by_stack(seen, of_rows=True)
        values = llama.apply_values(seen, name, self.weights)
        groups = llama.n_heads // llama.n_key_heads

        def backward(gradient: Tensor) -> None:
            gradient = self.sequences.by_stack(gradient, of_rows=True)
            by_head = split(gradient, -1, llama.n_key_heads, groups, llama.d_head)
            seen_by_head = split(seen, 2, llama.n_key_heads, groups)
            of_weight = torch.einsum("srkge,srkgd->sked", by_head, seen_by_head)
            self.parts.send(name + ".weight", of_weight.flatten(1, 2))

        return self.sequences.in_lines(values, of_rows=True), backward

    @property
    def rows(self) -> Tensor:
        """The tokens that are read, shape (n_lines, n_rows)."""
        return self.sequences.rows

    def _add(self, whole: Tensor, new: Tensor, of_rows: bool) -> Tensor:
        """Add a gradient in place, where it may be that of the tokens read."""
        return add_rows(whole, self.rows, new) if of_rows else whole.add_(new)

    def _send_embedding(self, ids: Tensor, gradient: Tensor | None) -> None:
        """Hand over the embedding's gradient, joined with the unembedding's if tied."""
        of_head = self.parts.embedding_gradient
        self.parts.embedding_gradient = None
        assert gradient is not None
        is_stack = self.parts.is_stack(EMBEDDING)
        gradient = self.llama.scale_embedded(gradient)
        padding = self.llama.model.model.embed_tokens.padding_idx
        if padding is not None:  # the library's lookup learns nothing from it
            gradient.masked_fill_((ids == padding)[..., None], 0.0)
        rows, added = (t if is_stack else t.flatten(0, 1) for t in (ids, gradient))
        if of_head is not None:
            self._receive(EMBEDDING, replace(of_head, rows=rows, added=added))
            return
        whole = torch.zeros_like(self.weights[EMBEDDING])
        self._receive(EMBEDDING, add_rows(whole, rows, added))
