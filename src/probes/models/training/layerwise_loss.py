"""Layer-causal GD: every layer learns from what the layers up to it know.

Deutch et al. 2023, arXiv:2311.07772, §5: each layer's output is read through the final
norm and the unembedding, and the gradient of its label loss stops at the layer's input.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.frozen_layers import Replay
from probes.models.llama.backward import Take
from probes.models.training.label_batches import LabelBatches
from probes.models.training.settings import TrainingSettings
from probes.models.training.trainer import Training
from probes.models.weights.stacks import Weights


class LayerCausalTraining(Training):
    """Trains all layers at once, each by the loss of its own output.

    Embeddings, final norm and unembedding do not move: what all layers share cannot
    depend on lower layers only. The loss of *queries* is that of the whole model.

    Args:
        model: The loaded model; its weights stay as they are.
        settings: Optimizer and batch size; it names all weights.
        batches: The demonstrations of every set.
    """

    def __init__(
        self, model: CausalLM, settings: TrainingSettings, batches: LabelBatches
    ) -> None:
        super().__init__(model, settings, batches)
        self.start = {n: p for n, p in self.start.items() if re.search(r"\.\d+\.", n)}
        n_layers = int(model.model.config.get_text_config().num_hidden_layers)
        self.head = Replay(model.model, n_layers)  # norm and unembedding only
        self.head.record(batches.ids[0, :1])  # it learns what layers hand over
        self._learns = False
        self.taught = None  # it reads every layer's output

    def _learn(self, moving: Weights, batch: tuple[Tensor, ...], take: Take) -> Tensor:
        self._learns = True
        try:
            return super()._learn(moving, batch, take)
        finally:
            self._learns = False

    def _loss(
        self,
        weights: Mapping[str, Tensor],
        columns: Tensor,
        ids: Tensor,
        *labels: Tensor | None,
        **options: Any,
    ) -> Tensor:
        """Sum the layers' label losses when learning; the model's own otherwise."""
        if not self._learns:
            return super()._loss(weights, columns, ids, *labels, **options)  # type: ignore[arg-type]
        with self._outputs() as outputs, self.model.tuned(weights):
            self.model.logits(ids, columns)
        losses = []
        for output in outputs:
            with self.head.beginning_with(output):
                losses.append(super()._loss(weights, columns, ids, *labels))  # type: ignore[arg-type]
        return torch.stack(losses).sum()

    @contextlib.contextmanager
    def _outputs(self) -> Iterator[list[Tensor]]:
        """Gather every layer's output, each computed from an input without gradient."""
        found: list[Tensor] = []

        def stop(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return (inputs[0].detach(), *inputs[1:])

        def keep(_: nn.Module, inputs: Any, output: Any) -> None:
            found.append(output[0] if isinstance(output, tuple) else output)

        with contextlib.ExitStack() as hooks:
            for layer in self.head.layers:
                hooks.enter_context(layer.register_forward_pre_hook(stop))
                hooks.enter_context(layer.register_forward_hook(keep))
            yield found
