"""Llama, Mistral, Qwen and Gemma as functions of their weights.

Runs whose weights differ are computed side by side, what they share is computed once,
and the last layer computes only the tokens that are read. An ``AttentionLayout`` says
which token attends to which.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from probes.models.llama.activation import ACTIVATIONS, cap_logits
from probes.models.llama.architecture import Design, head_norm_of
from probes.models.llama.attention_layout import AttentionLayout
from probes.models.llama.axes import plus, select_tokens, split, times
from probes.models.llama.linear_maps import EMBEDDING, LinearMaps, NamedWeights
from probes.models.llama.rms_norm import RMSNorm
from probes.models.llama.rotary import RotaryAngles
from probes.models.weights.parameter_groups import lowest_layer


class Llama(LinearMaps):
    """A model of the Llama family.

    In methods, ``weights`` replace the model's own. Everything above a stack of weights
    is computed for every member.

    Args:
        model: A Hugging Face causal language model of the family (see
            :func:`~architecture.is_llama_family`).
    """

    def __init__(self, model: Any) -> None:
        config = model.config.get_text_config()
        self.model = model
        self.n_layers = int(config.num_hidden_layers)
        self.n_heads = int(config.num_attention_heads)
        self.n_key_heads = int(config.num_key_value_heads)
        self.d_head = int(
            getattr(config, "head_dim", None) or config.hidden_size // self.n_heads
        )
        self.design = Design.of(model, d_head=self.d_head)
        self.activation = ACTIVATIONS[self.design.activation]
        self.rms_norm = RMSNorm(
            epsilon=float(config.rms_norm_eps), adds_one=self.design.adds_one
        )
        super().__init__(dict(model.named_parameters()), self.d_head)

    @property
    def head(self) -> str:
        """The name of the unembedding; it is the embedding's if they are tied."""
        head = "lm_head"
        return head if f"{head}.weight" in self.own else EMBEDDING.rpartition(".")[0]

    def share_of_layers_above(self, weights: NamedWeights) -> float:
        """Compute the share of layers that run for every member of a stack."""
        if not weights:
            return 0.0
        return 1 - (1 + lowest_layer(weights)) / self.n_layers

    def embed(self, ids: Tensor, weights: NamedWeights) -> Tensor:
        """Look up tokens (n_stacks or 1, n_tokens) in the embedding.

        Returns:
            Shape (n_stacks or 1, n_tokens, d_model).
        """
        table = self.weight(EMBEDDING, weights)
        if table.dim() == 2:
            return self.scale_embedded(F.embedding(ids, table))
        stack = torch.arange(len(table), device=ids.device)[:, None]
        return self.scale_embedded(table[stack, ids.expand(len(table), -1)])

    def scale_embedded(self, tokens: Tensor) -> Tensor:
        """Multiply what was looked up, or its gradient, by the model's factor."""
        factor = getattr(self.model.model.embed_tokens, "embed_scale", None)
        return tokens if factor is None else tokens * factor.to(tokens.dtype)

    def logits(
        self,
        hidden: Tensor,
        layout: AttentionLayout,
        weights: NamedWeights,
        *,
        start: int = 0,
    ) -> Tensor:
        """Run the layers, and compute the logits of the tokens that are read.

        Args:
            hidden: The input of layer ``start``, shape (n_stacks or 1, n_tokens,
                d_model).
            layout: Which token attends to which.
            weights: They replace the model's own.
            start: The first layer that runs.

        Returns:
            Shape (n_stacks or 1, n_rows, n_vocab), float32 or wider.
        """
        hidden = self.final_hidden(hidden, layout, weights, start=start)
        hidden = self.norm(hidden, "model.norm.weight", weights)
        logits = cap_logits(
            self.linear(hidden, self.head, weights), self.design.logit_cap
        )
        return logits.float() if logits.dtype.itemsize < 4 else logits

    def final_hidden(
        self,
        hidden: Tensor,
        layout: AttentionLayout,
        weights: NamedWeights,
        *,
        start: int = 0,
    ) -> Tensor:
        """Run the layers, and give the last one's output at the tokens read."""
        angles = self.rotary_angles(hidden, layout.positions)
        for layer in range(start, self.n_layers):
            hidden = self._layer(layer, hidden, layout, weights, angles[layer])
        return hidden if start < self.n_layers else select_tokens(hidden, layout.rows)

    def hidden_before(self, layer: int, ids: Tensor, layout: AttentionLayout) -> Tensor:
        """Compute a layer's input with the model's own weights, (1, n_tokens, d)."""
        hidden = self.embed(ids, {})
        angles = self.rotary_angles(hidden, layout.positions)
        for below in range(layer):
            hidden = self._layer(below, hidden, layout, {}, angles[below], reads=False)
        return hidden

    def _layer(
        self,
        layer: int,
        hidden: Tensor,
        layout: AttentionLayout,
        weights: NamedWeights,
        angles: RotaryAngles,
        *,
        reads: bool = True,
    ) -> Tensor:
        """Run a layer; the last one only at the tokens that are read."""
        at = f"model.layers.{layer}."
        of_rows = reads and layer == self.n_layers - 1
        normalized = self.norm(hidden, at + "input_layernorm.weight", weights)
        asking, asking_angles = normalized, angles.scaled_for_queries
        if of_rows:
            asking, hidden = (select_tokens(t, layout.rows) for t in (asking, hidden))
            asking_angles = asking_angles.map(lambda t: select_tokens(t, layout.rows))
        query = self._rotated_heads(
            asking, at + "self_attn.q_proj", weights, asking_angles
        )
        key = self._rotated_heads(normalized, at + "self_attn.k_proj", weights, angles)
        name, window = at + "self_attn.v_proj", self.design.windows[layer]
        # Applying a stack of W_V after attention takes fewer tokens: those read.
        is_late = of_rows and self.weight(name + ".weight", weights).dim() == 3
        value = (
            normalized[:, :, None]
            if is_late
            else self._heads(normalized, name, weights)
        )
        attend = layout.attend_from_rows if of_rows else layout.attend
        seen = attend(query, key, value, layer=layer, window=window)
        seen = self.apply_values(seen, name, weights) if is_late else seen.flatten(2)
        new = self.linear(seen, at + "self_attn.o_proj", weights)
        if self.design.norm_after_attention is not None:
            new = self.norm(
                new, f"{at}{self.design.norm_after_attention}.weight", weights
            )
        return self._mlp(at, plus(new, hidden), weights)

    def _mlp(self, at: str, hidden: Tensor, weights: NamedWeights) -> Tensor:
        normalized = self.norm(
            hidden, f"{at}{self.design.norm_before_mlp}.weight", weights
        )
        gate = self.linear(normalized, at + "mlp.gate_proj", weights)
        gate = self.activation.apply_in_place(gate)
        gate = times(gate, self.linear(normalized, at + "mlp.up_proj", weights))
        new = self.linear(gate, at + "mlp.down_proj", weights)
        if self.design.norm_after_mlp is not None:
            new = self.norm(new, f"{at}{self.design.norm_after_mlp}.weight", weights)
        return plus(new, hidden)

    def _rotated_heads(
        self, x: Tensor, name: str, weights: NamedWeights, angles: RotaryAngles
    ) -> Tensor:
        is_interleaved = self.is_interleaved(x, name, weights)
        heads = self._heads(x, name, weights)
        if self.design.has_head_norms:
            norm = head_norm_of(name) + ".weight"
            heads = self.norm(heads, norm, weights, is_interleaved=is_interleaved)
        return angles.rotate(heads, is_interleaved=is_interleaved)

    def _heads(self, x: Tensor, name: str, weights: NamedWeights) -> Tensor:
        return split(self.linear(x, name, weights), -1, -1, self.d_head)

    def apply_values(self, seen: Tensor, name: str, weights: NamedWeights) -> Tensor:
        """Apply a stack of W_V to averages of the layer's input.

        Args:
            seen: Each head's average, weighted by its attention, shape (n_stacks or 1,
                n_rows, n_heads, d_model).
            name: The matrix, without ``.weight``.
            weights: They hold it, as a stack.

        Returns:
            Shape (n_stacks, n_rows, n_heads · d_head).
        """
        groups = self.n_heads // self.n_key_heads
        seen = split(seen, 2, self.n_key_heads, groups)
        by_head = split(self.weight(name + ".weight", weights), 1, -1, self.d_head)
        values = torch.einsum("srkgd,sked->srkge", seen, by_head)
        bias = weights.get(name + ".bias", self.own.get(name + ".bias"))
        if bias is not None:  # attention weights add up to 1
            values = values + bias.reshape(-1, 1, self.n_key_heads, 1, self.d_head)
        return values.flatten(2)

    def norm(
        self,
        x: Tensor,
        name: str,
        weights: NamedWeights,
        *,
        is_interleaved: bool = False,
    ) -> Tensor:
        """Normalize as the library does: in float32, whatever the precision.

        Args:
            x: Tokens or their heads, shape (n_stacks or 1, n_tokens, …, d).
            name: The norm's scale.
            weights: They replace the model's own.
            is_interleaved: Whether the two halves of x are interleaved.
        """
        normalized, _ = self.rms_norm.normalize(x)
        factor = self.rms_norm.factor(
            x, self.weight(name, weights), is_interleaved=is_interleaved
        )
        return times(normalized, factor).to(x.dtype)

    def rotary_angles(self, like: Tensor, positions: Tensor) -> list[RotaryAngles]:
        """Compute every layer's angles at some positions, on the device of ``like``."""
        kinds = self.design.rotary_kinds
        compute, scale = self.model.model.rotary_emb, self.design.query_scale
        angles = {}
        for kind in set(kinds):
            named = () if kind is None else (kind,)
            angles[kind] = RotaryAngles.of(
                *compute(like, positions, *named), query_scale=scale
            )
        return [angles[kind] for kind in kinds]
