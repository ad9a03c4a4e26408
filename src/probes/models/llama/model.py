"""The Llama family written out: one pass for many prompts, and for many weights.

Llama, Mistral and Qwen2 as functions of their weights, so that trials whose weights
differ run side by side, what they share is computed once, and the last layer computes
only the tokens that are read. Which tokens see which is said by a layout: ``forest``
for prompts that share beginnings, ``blocks`` for examples that are learned from.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from probes.models.architectures import architecture_of
from probes.models.llama.axes import split
from probes.models.llama.prepacked_linear import Packed, packed
from probes.models.llama.rms_norm import normed
from probes.models.llama.rotary import Turns
from probes.models.weights.parameter_groups import lowest_layer

ROTATIONS = ("default", "linear", "llama3")  # those that do not change with the length

EMBEDDING = "model.embed_tokens.weight"

Weights = Mapping[str, Tensor]


class Layout(Protocol):
    """Which tokens there are, which of them see which, and which are read."""

    @property
    def positions(self) -> Tensor:
        """Positions of all tokens in their prompts, (n_stacks or 1, n_tokens)."""

    @property
    def rows(self) -> Tensor:
        """The tokens that are read, shape (n_stacks or 1, n_rows)."""

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        layer: int,
        window: int | None,
    ) -> Tensor:
        """Attend from every token.

        Args:
            query: Scaled; shape (n_stacks or 1, n_tokens, n_heads, d_head).
            key: Shape (n_stacks or 1, n_tokens, n_key_heads, d_head).
            value: Same.
            layer: Of which layer.
            window: How many tokens back a token sees, itself included; None: all.

        Returns:
            Shape (n_stacks or 1, n_tokens, n_heads · d_head).
        """

    def attend_from_rows(
        self,
        query: Tensor,
        key: Tensor,
        shown: Tensor,
        *,
        layer: int,
        window: int | None,
    ) -> Tensor:
        """Attend from the tokens that are read.

        Args:
            query: Scaled; shape (n_stacks or 1, n_rows, n_heads, d_head).
            key: As in :meth:`attend`; so are layer and window.
            shown: Values; or what has none yet and every head sees, shape
                (n_stacks or 1, n_tokens, n_key_heads or 1, d).
            layer: See there.
            window: See there.

        Returns:
            Shape (n_stacks or 1, n_rows, n_heads, d).
        """


class Llama:
    """A model of the Llama family.

    Weights are named as the model names them. Those given to :meth:`logits` replace the
    model's own; one with a leading axis of n_stacks more than the model's stands for a
    stack, and everything above it is computed for every member.

    Args:
        model: A Hugging Face causal language model for which :func:`is_written` holds.
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
        self.epsilon = float(config.rms_norm_eps)
        self.windows = _windows(config)
        self.own: dict[str, Tensor] = dict(model.named_parameters())
        self.packed = packed(self.own, self.d_head)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.own[EMBEDDING].device

    @property
    def n_bytes(self) -> int:
        """The size of the weights, without what is packed of them."""
        return sum(w.numel() * w.element_size() for w in self.own.values())

    @property
    def head(self) -> str:
        """The name of what forms logits; that of the embedding, if they are tied."""
        head = "lm_head"
        return head if f"{head}.weight" in self.own else EMBEDDING.rpartition(".")[0]

    def n_stacks(self, weights: Weights) -> int:
        """Count the members of a stack of weights; 1 where none is stacked."""
        stacked = [w for n, w in weights.items() if w.dim() > self.own[n].dim()]
        return len(stacked[0]) if stacked else 1

    def moved(self, weights: Weights) -> Llama:
        """Make the model whose own weights are those given, none of them stacked."""
        found = copy(self)
        kept = {name: p for name, p in self.packed.items() if name not in weights}
        found.own = {**self.own, **weights}
        found.packed = {**kept, **packed(weights, self.d_head)}
        return found

    def share_above(self, weights: Weights) -> float:
        """Tell which share of the layers computes all tokens for every member."""
        if not weights:
            return 0.0
        return 1 - (1 + lowest_layer(weights)) / self.n_layers

    def embed(self, ids: Tensor, weights: Weights) -> Tensor:
        """Look tokens up.

        Args:
            ids: Shape (n_stacks or 1, n_tokens).
            weights: Those that are not the model's own.

        Returns:
            Shape (n_stacks or 1, n_tokens, d_model).
        """
        table = self.weight(EMBEDDING, weights)
        if table.dim() == 2:
            return F.embedding(ids, table)
        stack = torch.arange(len(table), device=ids.device)[:, None]
        return table[stack, ids.expand(len(table), -1)]

    def logits(
        self, hidden: Tensor, layout: Layout, weights: Weights, *, start: int = 0
    ) -> Tensor:
        """Run the layers, and form the logits of the tokens that are read.

        Args:
            hidden: What enters layer ``start``, shape (n_stacks or 1, n_tokens,
                d_model).
            layout: Which tokens see which.
            weights: Those that are not the model's own.
            start: The first layer that runs.

        Returns:
            Shape (n_stacks or 1, n_rows, n_vocab), float32 or wider.
        """
        hidden = self.rows_after(hidden, layout, weights, start=start)
        hidden = self.norm(hidden, "model.norm.weight", weights)
        found = self.linear(hidden, self.head, weights)
        return found.float() if found.dtype.itemsize < 4 else found

    def rows_after(
        self, hidden: Tensor, layout: Layout, weights: Weights, *, start: int = 0
    ) -> Tensor:
        """Run the layers; give what leaves the last at the tokens that are read."""
        turns = self.turns(hidden, layout.positions)
        for layer in range(start, self.n_layers):
            hidden = self._layer(layer, hidden, layout, weights, turns)
        return hidden if start < self.n_layers else picked(hidden, layout.rows)

    def below(self, ids: Tensor, layout: Layout, stop: int) -> Tensor:
        """Run the layers below one, with the model's own weights.

        Returns:
            What enters the layer ``stop``, shape (1, n_tokens, d_model).
        """
        hidden = self.embed(ids, {})
        turns = self.turns(hidden, layout.positions)
        for layer in range(stop):
            hidden = self._layer(layer, hidden, layout, {}, turns, reads=False)
        return hidden

    def _layer(
        self,
        layer: int,
        hidden: Tensor,
        layout: Layout,
        weights: Weights,
        turns: Turns,
        *,
        reads: bool = True,
    ) -> Tensor:
        """Run a layer; the last one only at the tokens that are read."""
        at = f"model.layers.{layer}."
        of_rows = reads and layer == self.n_layers - 1
        entered = self.norm(hidden, at + "input_layernorm.weight", weights)
        asking, asked_at = entered, turns.of_queries
        if of_rows:
            asking, hidden = (picked(t, layout.rows) for t in (entered, hidden))
            asked_at = asked_at.each(lambda t: picked(t, layout.rows))
        query = self._turned(asking, at + "self_attn.q_proj", weights, asked_at)
        key = self._turned(entered, at + "self_attn.k_proj", weights, turns)
        name, window = at + "self_attn.v_proj", self.windows[layer]
        # A stack of W_V is applied to what rows see, not to every token that they see.
        is_late = of_rows and self.weight(name + ".weight", weights).dim() == 3
        value = entered[:, :, None] if is_late else self._heads(entered, name, weights)
        attend = layout.attend_from_rows if of_rows else layout.attend
        seen = attend(query, key, value, layer=layer, window=window)
        seen = self.valued(seen, name, weights) if is_late else seen.flatten(2)
        hidden = _plus(self.linear(seen, at + "self_attn.o_proj", weights), hidden)
        entered = self.norm(hidden, at + "post_attention_layernorm.weight", weights)
        gate = F.silu(self.linear(entered, at + "mlp.gate_proj", weights), inplace=True)
        gate = _times(gate, self.linear(entered, at + "mlp.up_proj", weights))
        return _plus(self.linear(gate, at + "mlp.down_proj", weights), hidden)

    def weight(self, name: str, weights: Weights) -> Tensor:
        """Find a weight among those given, or else the model's own."""
        found = weights.get(name)
        return self.own[name] if found is None else found

    def linear(self, x: Tensor, name: str, weights: Weights) -> Tensor:
        """Multiply tokens by a matrix and add its bias, if it has one.

        Args:
            x: Shape (n_stacks or 1, n_tokens, d_in).
            name: Of the matrix, without ``.weight``.
            weights: Those that are not the model's own.

        Returns:
            Shape (n_stacks or 1, n_tokens, d_out); the halves of heads interleaved, if
            :meth:`is_interleaved`.
        """
        weight = self.weight(name + ".weight", weights)
        bias = weights.get(name + ".bias", self.own.get(name + ".bias"))
        packed_own = self._packed(x, name, weights)
        if packed_own is not None:
            return packed_own(x, bias)
        if weight.dim() == 2 and (bias is None or bias.dim() == 1):
            return F.linear(x, weight, bias)
        found = x @ weight.transpose(-1, -2)
        if bias is None:
            return found
        return found + (bias if bias.dim() == 1 else bias[:, None])

    def back(self, gradient: Tensor, name: str, weights: Weights) -> Tensor:
        """Carry a gradient of what :meth:`linear` gives back to what it is given."""
        packed_own = self._packed(gradient, name, weights)
        if packed_own is not None:
            return packed_own.back(gradient)
        return gradient @ self.weight(name + ".weight", weights)

    def _packed(self, x: Tensor, name: str, weights: Weights) -> Packed | None:
        """Find the packed matrix, where it stands for the one that is asked for."""
        if name + ".weight" in weights or name + ".bias" in weights:
            return None
        found = self.packed.get(name + ".weight")
        return found if found is not None and found.serves(x) else None

    def is_interleaved(self, x: Tensor, name: str, weights: Weights) -> bool:
        """Say whether :meth:`linear` interleaves the halves of every head."""
        found = self._packed(x, name, weights)
        return found is not None and found.is_interleaved

    def _turned(self, x: Tensor, name: str, weights: Weights, by: Turns) -> Tensor:
        is_interleaved = self.is_interleaved(x, name, weights)
        return by.turn(self._heads(x, name, weights), is_interleaved=is_interleaved)

    def _heads(self, x: Tensor, name: str, weights: Weights) -> Tensor:
        return split(self.linear(x, name, weights), -1, -1, self.d_head)

    def valued(self, seen: Tensor, name: str, weights: Weights) -> Tensor:
        """Apply a stack of W_V to the tokens that every head saw, by its attention.

        Args:
            seen: Averages, shape (n_stacks or 1, n_rows, n_heads, d_model).
            name: Of the matrix.
            weights: In which it is a stack.

        Returns:
            Shape (n_stacks, n_rows, n_heads · d_head).
        """
        groups = self.n_heads // self.n_key_heads
        seen = split(seen, 2, self.n_key_heads, groups)
        by_head = split(self.weight(name + ".weight", weights), 1, -1, self.d_head)
        found = torch.einsum("srkgd,sked->srkge", seen, by_head)
        bias = weights.get(name + ".bias", self.own.get(name + ".bias"))
        if bias is not None:  # the weights of an average add up to 1
            found = found + bias.reshape(-1, 1, self.n_key_heads, 1, self.d_head)
        return found.flatten(2)

    def normed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Divide by the root mean square (see ``models.llama.rms_norm``)."""
        return normed(x, self.epsilon)

    def norm(self, x: Tensor, name: str, weights: Weights) -> Tensor:
        """Normalise as the library does: in float32, whatever the precision."""
        scale = self.weight(name, weights)
        normal, _ = self.normed(x)
        return _times(normal, scale if scale.dim() == 1 else scale[:, None])

    def turns(self, like: Tensor, positions: Tensor) -> Turns:
        """Compute by how much positions turn a head."""
        return Turns.of(*self.model.model.rotary_emb(like, positions))


def is_written(model: Any) -> bool:
    """Say whether a model is of the family, on one device, with no variation of it."""
    config = model.config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or {}
    return (
        architecture_of(model).is_written_out
        and config.hidden_act == "silu"
        and rope.get("rope_type") in ROTATIONS
        and float(rope.get("partial_rotary_factor") or 1.0) == 1.0
        and len({p.device for p in model.parameters()}) == 1
        and isinstance(getattr(model, "lm_head", None), nn.Linear)
    )


def _windows(config: Any) -> list[int | None]:
    """Tell how far back each layer sees."""
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if window is None or config.model_type == "llama":
        return [None] * int(config.num_hidden_layers)
    if kinds is None:
        return [int(window)] * int(config.num_hidden_layers)
    return [int(window) if k == "sliding_attention" else None for k in kinds]


def _plus(new: Tensor, other: Tensor) -> Tensor:
    """Add to a tensor that nobody else holds: in place, where the sum fits into it."""
    return new.add_(other) if _fits(new, other) else new + other


def _times(new: Tensor, other: Tensor) -> Tensor:
    return new.mul_(other) if _fits(new, other) else new * other


def _fits(new: Tensor, other: Tensor) -> bool:
    """Say whether a sum or product with another has a tensor's own shape."""
    return np.broadcast_shapes(new.shape, other.shape) == tuple(new.shape)


def picked(tokens: Tensor, rows: Tensor) -> Tensor:
    """Pick tokens: (n_stacks or 1, n_tokens, …) at (n_stacks or 1, n_rows)."""
    if len(rows) == 1:
        return tokens[:, rows[0]]
    stack = torch.arange(len(rows), device=rows.device)[:, None]
    return tokens.expand(len(rows), *tokens.shape[1:])[stack, rows]
