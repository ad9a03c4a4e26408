"""The products of queries and keys, read from the functions of PyTorch that form them.

Every self-attention multiplies queries by keys before anything else is multiplied,
whether by ``scaled_dot_product_attention``, ``baddbmm`` or ``matmul``. These functions
are watched while the model runs; what they return stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

MATMULS = (torch.matmul, Tensor.matmul, Tensor.__matmul__)
BADDBMMS = (torch.baddbmm, Tensor.baddbmm)
Receive = Callable[[int, Tensor], None]
"""Receives a layer and its q·k/√d_head, (n_prompts, n_heads, n_tokens, n_tokens)."""


class QueryKeyProducts(TorchFunctionMode):
    """Watches for the first product in each layer that is announced.

    Args:
        receive: Called with every layer's products, before mask and softmax.
    """

    def __init__(self, receive: Receive) -> None:
        super().__init__()
        self._receive = receive
        self._layer: int | None = None
        self._scaling: float | None = None

    def expect(self, layer: int | None, scaling: float | None = None) -> None:
        """Announce that a layer's self-attention begins, or with None that it is over.

        Args:
            layer: The layer.
            scaling: The factor of its products, if the module states one. If it is
                None, the function's own argument counts, or else 1/√d_head.
        """
        self._layer, self._scaling = layer, scaling

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a function of PyTorch, and note the first product of a layer."""
        given = dict(kwargs or {})
        if self._layer is not None:
            self._note(func, args, given)
        return func(*args, **given)

    def _note(self, func: Any, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        if func is scaled_dot_product_attention:
            query, key = args[:2]
            self._keep(query, key, given.get("scale"))
        elif func in BADDBMMS:
            query = given["batch1"] if "batch1" in given else args[1]
            key = given["batch2"] if "batch2" in given else args[2]
            self._keep(query, key.mT, given.get("alpha"))
        elif func in MATMULS and args[1].dim() > 2:  # a weight has two axes
            self._keep(args[0], args[1].mT, self._scaling)

    def _keep(self, query: Tensor, key: Tensor, scaling: float | None) -> None:
        """Multiply, and hand over; key heads that several queries share are repeated.

        Args:
            query: Shape (n_prompts, n_heads, n_tokens, d_head); or with one leading
                axis for prompts and heads.
            key: Shape (n_prompts, n_key_heads, n_tokens, d_head).
            scaling: Factor of the products; None is 1/√d_head.
        """
        layer, self._layer = self._layer, None  # what comes next is no such product
        assert layer is not None
        if query.dim() == 4:
            key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        self._receive(layer, scale * query @ key.mT)
