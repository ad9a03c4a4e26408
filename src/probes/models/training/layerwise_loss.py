"""Layer-causal GD: each layer learns from what the layers up to it know.

Each layer's output is read through the final norm and the unembedding, and the gradient
of its label loss stops at the layer's input.

Reference:
    Deutch et al. 2023, arXiv:2311.07772, §5.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.frozen_layers import FrozenLayers
from probes.models.causal_lm.hooks import Visit, hooked
from probes.models.training.autograd_backend import AutogradBackend
from probes.models.training.label_batches import LabelBatches
from probes.models.weights.stacks import Weights


def weights_in_layers(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out embeddings, final norm and unembedding.

    All layers share them, so their gradient cannot depend on lower layers only.
    """
    return {name: w for name, w in weights.items() if re.search(r"\.\d+\.", name)}


class LayerwiseBackend(AutogradBackend):
    """Trains all layers at once, each by the label loss of its own output.

    ``losses`` remain those of the whole model.

    Args:
        model: The loaded model. Its weights stay as they are.
        start: The model's weights that are trained: :func:`weights_in_layers` of all.
        batches: The examples that are learned.
    """

    def __init__(
        self, model: CausalLM, start: Mapping[str, Tensor], batches: LabelBatches
    ) -> None:
        super().__init__(model, start, batches.candidates)
        n_layers = int(model.model.config.get_text_config().num_hidden_layers)
        self._head = FrozenLayers(
            model.model, n_layers
        )  # final norm and unembedding only
        self._head.record(batches.ids[0, :1])  # it learns the form of a layer's output

    def training_loss(
        self, weights: Weights, columns: Tensor, *examples: Tensor
    ) -> Tensor:
        """Sum the label losses of all layers' outputs."""
        ids = examples[0]
        with self._layer_outputs() as outputs, self.model.tuned(weights):
            self.model.logits(ids, columns)
        losses = []
        for output in outputs:
            with self._head.beginning_with(output):
                losses.append(self.label_loss(weights, columns, *examples))
        return torch.stack(losses).sum()

    @contextlib.contextmanager
    def _layer_outputs(self) -> Iterator[list[Tensor]]:
        """Collect every layer's output, and stop gradients at every layer's input."""
        outputs: list[Tensor] = []

        def keep(visit: Visit) -> None:
            outputs.append(visit.tensor)

        model = self.model.model
        with (
            hooked(model, "layer_input", lambda visit: visit.tensor.detach()),
            hooked(model, "layer_output", keep),
        ):
            yield outputs
