"""The parts of a layer, each returned with the function that computes its gradient.

Such a function computes the gradient of the part's input from that of its output, and
hands over the gradients of the part's weights as soon as it knows them. Nothing is
recorded that is not needed, and sums are computed in place. With the same formulas,
autograd takes half as long again for everything that is not a product.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from probes.models.llama.architecture import head_norm_of
from probes.models.llama.axes import part_halves, split
from probes.models.llama.linear_maps import EMBEDDING, NamedWeights
from probes.models.llama.model import Llama
from probes.models.llama.packed_sequences import PackedSequences
from probes.models.llama.rms_norm import rms_normalize_backward
from probes.models.llama.rotary import RotaryAngles
from probes.models.weights.gradients import (
    Gradient,
    GradientReceiver,
    LazyGradient,
    bias_gradient,
    weight_gradient,
)

Backward = Callable[[Tensor], Tensor | None] | None
"""Computes the gradient of a part's input from that of its output; returns None if that
is not needed. It is None itself if no gradient of the part is needed."""


class LayerParts:
    """Linear maps, norms and MLPs of one forward pass, with their gradients.

    In methods, ``wanted`` says whether the gradient of the part's input is needed.

    Args:
        llama: The model.
        weights: Those that are trained, as in ``Llama.logits``.
        sequences: Where the tokens stand.
        receive: Called with each gradient, in the weight's shape. It may change the
            weight in place, because nothing needs it any more.
        known: By name, results of matrices that training does not change. They may be
            overwritten.
    """

    def __init__(
        self,
        llama: Llama,
        weights: NamedWeights,
        sequences: PackedSequences,
        receive: GradientReceiver,
        *,
        known: NamedWeights,
    ) -> None:
        self.llama, self.weights, self.sequences = llama, weights, sequences
        self._receive, self._known = receive, known
        self.embedding_gradient: LazyGradient | None = None

    def send(self, name: str, gradient: Gradient) -> None:
        """Hand a gradient over.

        That of a tied embedding is kept as ``embedding_gradient``, because the looked
        up tokens are still missing in it.
        """
        if name == EMBEDDING and isinstance(gradient, LazyGradient):
            self.embedding_gradient = gradient
        else:
            self._receive(name, gradient)

    def is_stack(self, name: str) -> bool:
        """Check whether a weight is trained separately in every run."""
        own, trained = self.llama.own[name], self.weights.get(name)
        return trained is not None and trained.dim() > own.dim()

    def linear(
        self, x: Tensor, name: str, wanted: bool, *, of_rows: bool = False
    ) -> tuple[Tensor, Backward]:
        """Multiply all tokens, or those that are read, by a matrix."""
        if name in self._known:
            return self._known[name], None
        trained = [p for p in (".weight", ".bias") if name + p in self.weights]
        is_stack = any(self.is_stack(name + part) for part in trained)
        if is_stack:
            x = self.sequences.by_stack(x, of_rows=of_rows)
        output = self.llama.linear(x, name, self.weights)
        if is_stack:
            output = self.sequences.in_lines(output, of_rows=of_rows)
        if not wanted and not trained:
            return output, None

        def backward(gradient: Tensor) -> Tensor | None:
            if is_stack:
                gradient = self.sequences.by_stack(
                    gradient, of_rows=of_rows, is_gradient=True
                )
            of_x = None
            if wanted:  # before a receiver may change the weight
                of_x = self.llama.linear_backward(gradient, name, self.weights)
                if is_stack:
                    of_x = self.sequences.in_lines(of_x, of_rows=of_rows)
            for part in trained:
                gather = weight_gradient if part == ".weight" else bias_gradient
                in_stack = self.is_stack(name + part)
                self.send(name + part, gather(gradient, x, in_stack))
            return of_x

        return output, backward

    def norm(
        self, x: Tensor, name: str, wanted: bool, *, is_interleaved: bool = False
    ) -> tuple[Tensor, Backward]:
        """Normalize as ``Llama.norm`` does."""
        rms_norm, name = self.llama.rms_norm, name + ".weight"
        normalized, inverse = rms_norm.normalize(x)
        scale = self.llama.weight(name, self.weights)
        by = rms_norm.factor(x, scale, is_interleaved=is_interleaved)
        output, is_trained = (normalized * by).to(x.dtype), name in self.weights
        if not wanted and not is_trained:
            return output, None

        def backward(gradient: Tensor) -> Tensor | None:
            gradient, of_x = gradient.to(normalized.dtype), None
            if wanted:
                of_x = rms_normalize_backward(gradient * by, x, normalized, inverse)
            if is_trained:
                axes = [i for i in range(x.dim() - 1) if i or by.dim() == 1]
                of_scale = (gradient * normalized).sum(axes).to(x.dtype)
                self.send(name, part_halves(of_scale) if is_interleaved else of_scale)
            return of_x

        return output, backward

    def output_norm(
        self, x: Tensor, at: str, name: str | None, below: Backward
    ) -> tuple[Tensor, Backward]:
        """Normalize the output of a part; a gradient goes on to ``below``.

        Args:
            x: The output.
            at: The path of the layer.
            name: The norm within the layer; None if there is none.
            below: The part's own backward function.
        """
        if name is None:
            return x, below
        normalized, norm_backward = self.norm(x, at + name, below is not None)
        if norm_backward is None:
            return normalized, None
        return normalized, lambda gradient: through(below, norm_backward(gradient))

    def mlp(
        self, at: str, x: Tensor, wanted: bool, *, of_rows: bool
    ) -> tuple[Tensor, Backward]:
        """Compute the MLP whose weights' names begin with ``at``."""
        gate, gate_backward = self.linear(x, at + "gate_proj", wanted, of_rows=of_rows)
        up, up_backward = self.linear(x, at + "up_proj", wanted, of_rows=of_rows)
        activated = self.llama.activation.apply(gate)
        is_inside = gate_backward is not None or up_backward is not None
        output, down_backward = self.linear(
            activated * up, at + "down_proj", is_inside, of_rows=of_rows
        )
        if down_backward is None:
            return output, None

        def backward(gradient: Tensor) -> Tensor | None:
            of_product = down_backward(gradient)
            if of_product is None:
                return None
            of_x = through(up_backward, activated.mul_(of_product))
            if gate_backward is None:
                return of_x
            of_gate = self.llama.activation.backward(of_product.mul_(up), gate)
            return add_gradients(gate_backward(of_gate), of_x)

        return output, backward

    def rotated_heads(
        self,
        x: Tensor,
        name: str,
        angles: RotaryAngles,
        wanted: bool,
        *,
        of_rows: bool = False,
    ) -> tuple[Tensor, Backward]:
        """Multiply tokens by a matrix, and rotate the heads of the result."""
        output, linear_backward = self.linear(x, name, wanted, of_rows=of_rows)
        heads = split(output, -1, -1, self.llama.d_head)
        is_interleaved = self.llama.is_interleaved(x, name, self.weights)
        if self.llama.design.has_head_norms:
            heads, linear_backward = self._normalized_heads(
                heads, head_norm_of(name), linear_backward, is_interleaved
            )
        rotated = angles.rotate(heads, is_interleaved=is_interleaved)
        if linear_backward is None:
            return rotated, None

        def backward(gradient: Tensor) -> Tensor | None:
            of_heads = angles.rotate_backward(gradient, is_interleaved=is_interleaved)
            return linear_backward(of_heads.flatten(2))

        return rotated, backward

    def _normalized_heads(
        self, heads: Tensor, name: str, below: Backward, is_interleaved: bool
    ) -> tuple[Tensor, Backward]:
        """Normalize heads; a gradient goes on to ``below``, flattened."""
        normalized, norm_backward = self.norm(
            heads, name, below is not None, is_interleaved=is_interleaved
        )
        if norm_backward is None:
            return normalized, None

        def backward(gradient: Tensor) -> Tensor | None:
            of_heads = norm_backward(split(gradient, -1, *heads.shape[-2:]))
            return None if of_heads is None else through(below, of_heads.flatten(2))

        return normalized, backward


def through(backward: Backward, gradient: Tensor | None) -> Tensor | None:
    """Carry a gradient through a part; None if either of them is."""
    return None if backward is None or gradient is None else backward(gradient)


def add_gradients(new: Tensor | None, other: Tensor | None) -> Tensor | None:
    """Add two gradients in place to the first; either of them may be None."""
    if new is None or other is None:
        return other if new is None else new
    return new.add_(other)
