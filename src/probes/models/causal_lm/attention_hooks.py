"""Read self-attention inside a Hugging Face model while it answers.

The model computes as it always does, and nothing is computed in its place. Of every
layer three things are read: the input of self-attention, the products q·k/√d_head of
the last token before mask and softmax, and the output at the last token.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import Tensor

from probes.errors import ModelError
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.hooks import Visit, hooked, modules_at
from probes.models.causal_lm.library_forward import in_batches, padded
from probes.models.causal_lm.query_key_products import QueryKeyProducts


@dataclass(frozen=True, kw_only=True)
class Attention:
    """Self-attention in one prompt; float32, on the CPU.

    Attributes:
        outputs: Self-attention's output at the last token, after W_O, before it is
            added to the residual stream. Shape (n_layers, d_model).
        scores: q·k/√d_head of the last token with every token, before mask and softmax.
            Shape (n_layers, n_heads, n_tokens).
        inputs: Input of self-attention, after its norm. Shape (n_layers, n_tokens,
            d_model).
    """

    outputs: Tensor
    scores: Tensor
    inputs: Tensor


class AttentionRecorder:
    """Reads a model's self-attention while the context is open.

    Args:
        model: The loaded model. It answers as before, also with tuned weights.

    Raises:
        ModelError: The model's attention cannot be recorded.
    """

    def __init__(self, model: CausalLM) -> None:
        self.model = model
        self._n_layers = len(modules_at(model.model, "attention_output"))
        self._last = torch.zeros(0, dtype=torch.long)
        self._shape = (0, -1, 0, 0)
        self._inputs: dict[int, Tensor] = {}
        self._outputs: dict[int, Tensor] = {}
        self._scores: dict[int, Tensor] = {}
        self._open = contextlib.ExitStack()

    def __enter__(self) -> AttentionRecorder:
        """Install hooks in every layer."""
        model = self.model.model
        products = self._open.enter_context(QueryKeyProducts(self._keep_products))

        def enter(visit: Visit) -> None:
            self._inputs[visit.index] = visit.tensor
            attention = attentions[visit.index]
            products.expect(visit.index, getattr(attention, "scaling", None))

        def leave(visit: Visit) -> None:
            products.expect(None)
            rows = torch.arange(len(visit.tensor), device=visit.tensor.device)
            self._outputs[visit.index] = visit.tensor[rows, self._last]

        attentions = modules_at(model, "attention_input")
        self._open.enter_context(hooked(model, "attention_input", enter))
        self._open.enter_context(hooked(model, "attention_output", leave))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the hooks."""
        self._open.close()

    def read(self, prompts: Sequence[Sequence[int]]) -> list[Attention]:
        """Run prompts whole, and read self-attention.

        Args:
            prompts: Token ids, at least one token each.

        Raises:
            ModelError: A layer does not multiply queries by keys.
        """
        with torch.inference_mode():
            return [read for batch in in_batches(prompts) for read in self._run(batch)]

    def _run(self, prompts: Sequence[Sequence[int]]) -> Iterator[Attention]:
        ids, lengths = padded(prompts, self.model.device)
        self._last = lengths - 1
        self._shape = (len(ids), -1, ids.shape[1], ids.shape[1])
        self._inputs, self._outputs, self._scores = {}, {}, {}
        self.model.logits(ids, torch.tensor([0], device=ids.device))
        n_read = min(len(self._scores), len(self._outputs))
        if n_read != self._n_layers:
            raise ModelError(
                f"{type(self.model.model).__name__} multiplied queries by keys in "
                f"{n_read} of {self._n_layers} layers. Expected self-attention by "
                f"PyTorch's own functions. Leave the claims about attention out for "
                f"this model."
            )
        inputs, outputs, scores = (
            torch.stack([by_layer[i] for i in sorted(by_layer)], dim=1).float().cpu()
            for by_layer in (self._inputs, self._outputs, self._scores)
        )
        for row, n in enumerate(lengths.tolist()):
            yield Attention(
                outputs=outputs[row],
                scores=scores[row, :, :, :n],
                inputs=inputs[row, :, :n],
            )

    def _keep_products(self, layer: int, products: Tensor) -> None:
        """Keep the last token's products with every token, for each prompt and head."""
        rows = torch.arange(len(self._last), device=products.device)
        self._scores[layer] = products.reshape(self._shape)[rows, :, self._last]
