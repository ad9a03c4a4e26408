"""Gradients of the Llama family written out, as ``llama`` writes out its answers.

Every part of the model gives what it answers, and a function that carries a gradient
back through it; what no gradient is asked of gives none. A weight's gradient is handed
over as soon as it is there, and needed no more: only then may the weight be moved.
Nothing is recorded that is not needed, and sums are taken in place: autograd, with the
same formulas, takes half as long again for all that is not a product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from probes.models.llama import rms_norm
from probes.models.llama.axes import split
from probes.models.llama.model import EMBEDDING, Llama, Weights, picked
from probes.models.llama.packed_sequences import Blocks
from probes.models.llama.rotary import Turns
from probes.models.weights.gradients import Gradient, Product, add_rows, outer, summed

Take = Callable[[str, Gradient], None]
"""What is done with a gradient: given the name of a weight, and its gradient. It is
done at once: what a product is of is written over afterwards."""
Back = Callable[[Tensor], Tensor | None] | None
"""Takes the gradient of what a part answers, gives that of what it was given, or None
if nobody wants that; is None itself if nothing of the part is wanted."""


class Backward:
    """One pass through a model that learns.

    Args:
        llama: The model.
        weights: Those that move, as in ``Llama.logits``.
        layout: Which tokens see which.
        turns: How far its tokens are turned.
        take: Called with each gradient, in the shape of the weight. It may move the
            weight in place.
        known: By name, what some matrices answer that no moving weight changes; it may
            be written over.
    """

    def __init__(
        self,
        llama: Llama,
        weights: Weights,
        layout: Blocks,
        turns: Turns,
        take: Take,
        *,
        known: Weights,
    ) -> None:
        self.llama, self.weights = llama, weights
        self.layout, self.turns = layout, turns
        self._known = known
        self._take = take
        self._of_embedding: Product | None = None

    def logits(
        self, hidden: Tensor, *, start: int, ids: Tensor
    ) -> tuple[Tensor, Callable[[Tensor], None]]:
        """Run the layers (see ``Llama.logits``), and tell how gradients come back.

        Args:
            hidden: What enters layer ``start``, shape (n_lines, n_tokens, d_model).
            start: The lowest layer of which a weight moves; 0 if the embedding does.
            ids: The tokens, shape (n_lines, n_tokens).

        Returns:
            Logits, shape (n_stacks, n_rows, n_vocab), float32 or wider; and what takes
            their gradient and hands over that of every weight, once.
        """
        backs, wanted = [], EMBEDDING in self.weights
        for layer in range(start, self.llama.n_layers):
            hidden, back = self._layer(layer, hidden, wanted)
            backs.append(back)
            wanted = back is not None
        normal, to_layers = self._norm(hidden, "model.norm", wanted)
        found, to_norm = self._linear(
            normal, self.llama.head, to_layers is not None, of_rows=True
        )

        def descend(gradient: Tensor) -> None:
            gradient = self.layout.together(gradient.to(found.dtype), of_rows=True)
            below = _through(to_norm, gradient)
            below = _through(to_layers, below)
            while backs:
                below = _through(backs.pop(), below)
            if EMBEDDING in self.weights:
                self._look_up(ids, below)

        wide = found.float() if found.dtype.itemsize < 4 else found
        return self.layout.apart(wide, of_rows=True), descend

    def _layer(self, layer: int, hidden: Tensor, wanted: bool) -> tuple[Tensor, Back]:
        """Run a layer, the last one only at the tokens that are read."""
        at, of_rows = f"model.layers.{layer}.", layer == self.llama.n_layers - 1
        entered, to_hidden = self._norm(hidden, at + "input_layernorm", wanted)
        seen, to_entered = self._attention(layer, entered, to_hidden is not None)
        middle, to_seen = self._linear(
            seen, at + "self_attn.o_proj", to_entered is not None, of_rows=of_rows
        )
        middle = middle.add_(picked(hidden, self.layout.rows) if of_rows else hidden)
        is_middle = wanted or to_seen is not None
        normal, to_middle = self._norm(
            middle, at + "post_attention_layernorm", is_middle
        )
        found, to_normal = self._mlp(
            at + "mlp.", normal, to_middle is not None, of_rows=of_rows
        )
        found = found.add_(middle)
        if not is_middle and to_normal is None:
            return found, None

        def back(gradient: Tensor) -> Tensor | None:
            new = _through(to_middle, _through(to_normal, gradient))
            if not is_middle:
                return None
            if new is not None:
                gradient.add_(new)
            new = _through(to_entered, _through(to_seen, gradient))
            new = _through(to_hidden, new)
            if not wanted or new is None:
                return None
            return self._joined(new, gradient, of_rows)

        return found, back

    def _attention(
        self, layer: int, entered: Tensor, wanted: bool
    ) -> tuple[Tensor, Back]:
        """Attend, the last layer only from the tokens that are read."""
        llama, turns = self.llama, self.turns
        at = f"model.layers.{layer}.self_attn."
        of_rows = layer == llama.n_layers - 1
        asking, asked_at = entered, turns.of_queries
        if of_rows:
            asking = picked(entered, self.layout.rows)
            asked_at = asked_at.each(lambda t: picked(t, self.layout.rows))
        query, to_asking = self._turned(
            asking, at + "q_proj", asked_at, wanted, of_rows=of_rows
        )
        key, to_key = self._turned(entered, at + "k_proj", turns, wanted)
        window, values = llama.windows[layer], at + "v_proj"
        is_alone = not wanted and to_asking is None and to_key is None
        is_late = is_alone and f"{values}.bias" not in self.weights
        if of_rows and is_late and self._is_stack(f"{values}.weight"):
            # It is applied to what rows see, not to every token that they see.
            seen = self.layout.attend_from_rows(
                query, key, entered[:, :, None], layer=layer, window=window
            )
            seen = self.layout.apart(seen, of_rows=True)
            found = llama.valued(seen, values, self.weights)
            found = self.layout.together(found, of_rows=True)
            return found, self._back_to_values(seen, values)
        value, to_value = self._linear(entered, values, wanted)
        value = split(value, -1, -1, llama.d_head)
        found, to_all = self.layout.attended(
            query, key, value, window=window, of_rows=of_rows,
            of_scores=not (to_asking is None and to_key is None),
        )  # fmt: skip
        if is_alone and to_value is None:
            return found, None

        def back(gradient: Tensor) -> Tensor | None:
            of_query, of_key, of_value = to_all(gradient)
            new = _through(to_value, of_value.flatten(2))
            if of_key is not None and to_key is not None:
                new = _plus(new, to_key(of_key))
            if of_query is not None and to_asking is not None:
                asked = to_asking(of_query)
                if asked is not None and new is not None:
                    new = self._joined(new, asked, of_rows)
            return new

        return found, back

    def _turned(
        self, x: Tensor, name: str, by: Turns, wanted: bool, *, of_rows: bool = False
    ) -> tuple[Tensor, Back]:
        """Multiply tokens by a matrix, and turn the heads of what comes of it."""
        found, to_x = self._linear(x, name, wanted, of_rows=of_rows)
        heads = split(found, -1, -1, self.llama.d_head)
        is_interleaved = self.llama.is_interleaved(x, name, self.weights)
        turned = by.turn(heads, is_interleaved=is_interleaved)
        if to_x is None:
            return turned, None

        def back(gradient: Tensor) -> Tensor | None:
            turned_back = by.back(gradient, is_interleaved=is_interleaved)
            return to_x(turned_back.flatten(2))

        return turned, back

    def _joined(self, whole: Tensor, new: Tensor, of_rows: bool) -> Tensor:
        """Add the gradient of what asks to that of all tokens, in place."""
        return add_rows(whole, self.layout.rows, new) if of_rows else whole.add_(new)

    def _back_to_values(self, seen: Tensor, name: str) -> Back:
        """Carry a gradient to a stack of W_V that was applied after attention."""
        llama = self.llama
        groups = llama.n_heads // llama.n_key_heads

        def back(gradient: Tensor) -> None:
            gradient = self.layout.apart(gradient, of_rows=True)
            by_head = split(gradient, -1, llama.n_key_heads, groups, llama.d_head)
            shown = split(seen, 2, llama.n_key_heads, groups)
            found = torch.einsum("srkge,srkgd->sked", by_head, shown)
            self._hand(name + ".weight", found.flatten(1, 2))

        return back

    def _mlp(
        self, at: str, x: Tensor, wanted: bool, *, of_rows: bool
    ) -> tuple[Tensor, Back]:
        gate, to_gate = self._linear(x, at + "gate_proj", wanted, of_rows=of_rows)
        up, to_up = self._linear(x, at + "up_proj", wanted, of_rows=of_rows)
        opened = F.silu(gate)
        inside = to_gate is not None or to_up is not None
        found, to_inside = self._linear(
            opened * up, at + "down_proj", inside, of_rows=of_rows
        )
        if to_inside is None:
            return found, None

        def back(gradient: Tensor) -> Tensor | None:
            of_inside = to_inside(gradient)
            if of_inside is None:
                return None
            new = _through(to_up, opened.mul_(of_inside))
            if to_gate is None:
                return new
            of_gate = torch.ops.aten.silu_backward(of_inside.mul_(up), gate)
            return _plus(to_gate(of_gate), new)

        return found, back

    def _linear(
        self, x: Tensor, name: str, wanted: bool, *, of_rows: bool = False
    ) -> tuple[Tensor, Back]:
        """Multiply all tokens by a matrix, or those that are read."""
        if name in self._known:
            return self._known[name], None
        moves = [p for p in (".weight", ".bias") if name + p in self.weights]
        is_stack = any(self._is_stack(name + part) for part in moves)
        if is_stack:
            x = self.layout.apart(x, of_rows=of_rows)
        found = self.llama.linear(x, name, self.weights)
        if is_stack:
            found = self.layout.together(found, of_rows=of_rows)
        if not wanted and not moves:
            return found, None

        def back(gradient: Tensor) -> Tensor | None:
            if is_stack:
                gradient = self.layout.apart(
                    gradient, of_rows=of_rows, is_gradient=True
                )
            # Before the weight is handed over, for whoever takes it may move it.
            below = self.llama.back(gradient, name, self.weights) if wanted else None
            if below is not None and is_stack:
                below = self.layout.together(below, of_rows=of_rows)
            gather: dict[str, Callable[[Tensor, Tensor, bool], Gradient]]
            gather = {".weight": outer, ".bias": summed}
            for part in moves:
                in_stack = self._is_stack(name + part)
                self._hand(name + part, gather[part](gradient, x, in_stack))
            return below

        return found, back

    def _is_stack(self, name: str) -> bool:
        """Say whether a weight moves in every trial alone."""
        own, moving = self.llama.own[name], self.weights.get(name)
        return moving is not None and moving.dim() > own.dim()

    def _norm(self, x: Tensor, name: str, wanted: bool) -> tuple[Tensor, Back]:
        """Normalise as the library does: in float32, whatever the precision."""
        name += ".weight"
        normal, inverse = self.llama.normed(x)
        scale = self.llama.weight(name, self.weights)
        moves, by = name in self.weights, scale if scale.dim() == 1 else scale[:, None]
        found = normal * by
        if not wanted and not moves:
            return found, None

        def back(gradient: Tensor) -> Tensor | None:
            new = None
            if wanted:
                new = rms_norm.back(gradient * by, x, normal, inverse)
            if moves:
                self._hand(name, summed(gradient * normal, x, scale.dim() == 2))
            return new

        return found, back

    def _hand(self, name: str, gradient: Gradient) -> None:
        """Hand a gradient over; that of a tied embedding waits for the tokens'."""
        if name == EMBEDDING and isinstance(gradient, Product):
            self._of_embedding = gradient
        else:
            self._take(name, gradient)

    def _look_up(self, ids: Tensor, gradient: Tensor | None) -> None:
        """Hand over the embedding's gradient: its rows' are added to the output's."""
        of_output, self._of_embedding = self._of_embedding, None
        assert gradient is not None
        is_stack = self._is_stack(EMBEDDING)
        rows, added = (t if is_stack else t.flatten(0, 1) for t in (ids, gradient))
        if of_output is not None:
            self._take(EMBEDDING, replace(of_output, rows=rows, added=added))
            return
        whole = torch.zeros_like(self.weights[EMBEDDING])
        self._take(EMBEDDING, add_rows(whole, rows, added))


def _through(back: Back, gradient: Tensor | None) -> Tensor | None:
    return None if back is None or gradient is None else back(gradient)


def _plus(new: Tensor | None, other: Tensor | None) -> Tensor | None:
    """Add in place to the first, if there are two."""
    if new is None or other is None:
        return other if new is None else new
    return new.add_(other)
