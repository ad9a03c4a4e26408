"""A sub-model is paid above itself only: activations below it are computed once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn


class Replay:
    """Starts a Hugging Face causal language model at one of its layers.

    Args:
        model: The model.
        layer: The first layer that computes, at least 1.
    """

    def __init__(self, model: Any, layer: int) -> None:
        self.model, self.layer = model, layer
        self.layers = _layers_of(model)
        self._in_tuple = False

    def record(self, ids: Tensor) -> Tensor:
        """Run the layers below.

        Args:
            ids: Token ids, shape (n_sequences, n_tokens), padded on the right.

        Returns:
            What enters the layer, shape (n_sequences, n_tokens, d_model).
        """
        found: list[Tensor] = []

        def keep(_: nn.Module, inputs: Any, output: Any) -> None:
            self._in_tuple = isinstance(output, tuple)
            found.append(output[0] if self._in_tuple else output)
            raise _Reached

        hook = self.layers[self.layer - 1].register_forward_hook(keep)
        with hook, contextlib.suppress(_Reached), torch.no_grad():
            self.model(input_ids=ids, use_cache=False, logits_to_keep=1)
        return found[0]

    @contextlib.contextmanager
    def beginning_with(self, hidden: Tensor) -> Iterator[None]:
        """Let the layers below hand over what :meth:`record` found.

        Args:
            hidden: Shape (n_sequences, n_tokens, d_model).
        """
        handed = (hidden,) if self._in_tuple else hidden
        below = list(self.layers)[: self.layer]
        for module in below:
            module.forward = lambda *_, **__: handed
        try:
            yield
        finally:
            for module in below:
                del module.forward


class _Reached(Exception):  # noqa: N818 - the way out of a forward pass, not an error
    """The layer that was asked for has its input."""


def _layers_of(model: Any) -> nn.ModuleList:
    n_layers = int(model.config.get_text_config().num_hidden_layers)
    stacks = [
        module
        for module in model.modules()
        if isinstance(module, nn.ModuleList) and len(module) == n_layers
    ]
    assert stacks, f"{type(model).__name__} has no stack of {n_layers} layers"
    return stacks[0]
