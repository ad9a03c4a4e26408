"""Run lower layers once, and start the model above them afterwards.

Training a sub-model changes nothing below it: what enters its lowest layer is computed
once and handed over at every step.
"""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor

from probes.models.causal_lm.hooks import Visit, hooked, modules_at, skipped


class FrozenLayers:
    """Starts a Hugging Face causal language model at one of its layers.

    Args:
        model: The model.
        layer: The first layer that computes, at least 1. The layers below are frozen.
    """

    def __init__(self, model: Any, layer: int) -> None:
        self.model, self.layer = model, layer
        self.layers = modules_at(model, "layer_output")
        self._returns_tuple = False

    def record(self, ids: Tensor) -> Tensor:
        """Run the frozen layers.

        Args:
            ids: Token ids, shape (n_sequences, n_tokens), padded on the right.

        Returns:
            Input of the first layer that computes, shape (n_sequences, n_tokens,
            d_model).
        """
        entering: list[Tensor] = []

        def keep(visit: Visit) -> None:
            self._returns_tuple = isinstance(visit.output, tuple)
            entering.append(visit.tensor)
            raise _Reached

        at_the_last = hooked(self.model, "layer_output", keep, layers=[self.layer - 1])
        with at_the_last, contextlib.suppress(_Reached), torch.no_grad():
            self.model(input_ids=ids, use_cache=False, logits_to_keep=1)
        return entering[0]

    def beginning_with(self, hidden: Tensor) -> contextlib.AbstractContextManager[None]:
        """Let the frozen layers return a recorded tensor while the context is open.

        Args:
            hidden: Result of :meth:`record`, shape (n_sequences, n_tokens, d_model).
        """
        output = (hidden,) if self._returns_tuple else hidden
        return skipped(self.layers[: self.layer], output)


class _Reached(Exception):  # noqa: N818 - the way out of a forward pass, not an error
    """The first layer that computes has its input."""
