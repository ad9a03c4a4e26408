"""The weights of a model by name, and products of tokens with them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Self

import torch
from torch import Tensor

from probes.models.llama.dense_linear import dense_product, dense_product_backward
from probes.models.llama.prepacked_linear import PrepackedWeight, prepack

EMBEDDING = "model.embed_tokens.weight"

NamedWeights = Mapping[str, Tensor]


class LinearMaps:
    """The weights of a model, and its linear maps.

    Weights have the names that the library gives them. In methods, ``weights`` replace
    the model's own. A weight with one axis more than the model's is a stack of
    n_stacks.

    Args:
        own: The model's weights by name.
        d_head: The size of its heads.
    """

    def __init__(self, own: dict[str, Tensor], d_head: int) -> None:
        self.own, self.d_head = own, d_head
        self.prepacked = prepack(own, d_head)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.own[EMBEDDING].device

    @property
    def n_bytes(self) -> int:
        """The size of the weights, without their packed copies."""
        return sum(w.numel() * w.element_size() for w in self.own.values())

    def n_stacks(self, weights: NamedWeights) -> int:
        """Count the members of a stack of weights; 1 if none is stacked."""
        stacked = [w for n, w in weights.items() if w.dim() > self.own[n].dim()]
        return len(stacked[0]) if stacked else 1

    def with_weights(self, weights: NamedWeights) -> Self:
        """Make the model whose own weights these are; none may be a stack."""
        other = copy(self)
        kept = {name: p for name, p in self.prepacked.items() if name not in weights}
        other.own = {**self.own, **weights}
        other.prepacked = {**kept, **prepack(weights, self.d_head)}
        return other

    def weight(self, name: str, weights: NamedWeights) -> Tensor:
        """Find a weight among those given, or else the model's own."""
        given = weights.get(name)
        return self.own[name] if given is None else given

    def linear(self, x: Tensor, name: str, weights: NamedWeights) -> Tensor:
        """Multiply tokens by a matrix and add its bias, if it has one.

        Args:
            x: Shape (n_stacks or 1, n_tokens, d_in).
            name: The matrix, without ``.weight``.
            weights: They replace the model's own.

        Returns:
            Shape (n_stacks or 1, n_tokens, d_out). The halves of heads are interleaved
            if :meth:`is_interleaved`.
        """
        weight = self.weight(name + ".weight", weights)
        bias = weights.get(name + ".bias", self.own.get(name + ".bias"))
        prepacked = self._find_prepacked(x, name, weights)
        if prepacked is not None:
            return prepacked(x, bias)
        if weight.dim() == 2 and (bias is None or bias.dim() == 1):
            return dense_product(x, weight, bias)
        product = x @ weight.transpose(-1, -2)
        if bias is None:
            return product
        return product + (bias if bias.dim() == 1 else bias[:, None])

    def linear_backward(
        self, gradient: Tensor, name: str, weights: NamedWeights
    ) -> Tensor:
        """Compute the gradient of :meth:`linear`'s input from that of its output."""
        prepacked = self._find_prepacked(gradient, name, weights)
        if prepacked is not None:
            return prepacked.backward(gradient)
        weight = self.weight(name + ".weight", weights)
        if weight.dim() == 2:
            return dense_product_backward(gradient, weight)
        return gradient @ weight

    def _find_prepacked(
        self, x: Tensor, name: str, weights: NamedWeights
    ) -> PrepackedWeight | None:
        """Find the packed copy of a matrix that ``weights`` do not replace."""
        if name + ".weight" in weights or name + ".bias" in weights:
            return None
        packed = self.prepacked.get(name + ".weight")
        return packed if packed is not None and packed.supports(x) else None

    def is_interleaved(self, x: Tensor, name: str, weights: NamedWeights) -> bool:
        """Check whether :meth:`linear` interleaves the halves of every head."""
        packed = self._find_prepacked(x, name, weights)
        return packed is not None and packed.is_interleaved
