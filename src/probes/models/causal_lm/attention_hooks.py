"""Read self-attention inside a Hugging Face model while it answers.

Three things of every layer are read: the input of self-attention, the products
q·k/√d_head of the last token before mask and softmax, and the output at the last token.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from probes.errors import ModelError
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.hooks import Visit, hooked, modules_at
from probes.models.causal_lm.library_forward import in_batches, padded

RECORDING = "probes_recording"  # our name in the library's table of attention functions


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
        self._modules = modules_at(model.model, "attention_output")
        self._last = torch.zeros(0, dtype=torch.long)
        self._inputs: dict[int, Tensor] = {}
        self._outputs: dict[int, Tensor] = {}
        self._scores: dict[int, Tensor] = {}
        self._open = contextlib.ExitStack()

    def __enter__(self) -> AttentionRecorder:
        """Replace the model's attention function, and hook into every layer."""
        self._open.enter_context(self._attending())
        model = self.model.model
        self._open.enter_context(hooked(model, "attention_input", self._keep_input))
        self._open.enter_context(hooked(model, "attention_output", self._keep_output))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the model its own attention back."""
        self._open.close()

    @contextlib.contextmanager
    def _attending(self) -> Iterator[None]:
        from transformers import AttentionInterface, AttentionMaskInterface
        from transformers.masking_utils import eager_mask

        AttentionInterface.register(RECORDING, self._attend)
        AttentionMaskInterface.register(RECORDING, eager_mask)
        before = self.model.model.config._attn_implementation
        self.model.model.set_attn_implementation(RECORDING)
        try:
            yield
        finally:
            self.model.model.set_attn_implementation(before)

    def read(self, prompts: Sequence[Sequence[int]]) -> list[Attention]:
        """Run prompts whole, and read self-attention.

        Args:
            prompts: Token ids, at least one token each.

        Raises:
            ModelError: The architecture does not use the library's attention functions.
        """
        with torch.inference_mode():
            return [read for batch in in_batches(prompts) for read in self._run(batch)]

    def _run(self, prompts: Sequence[Sequence[int]]) -> Iterator[Attention]:
        ids, lengths = padded(prompts, self.model.device)
        self._last = lengths - 1
        self._inputs, self._outputs, self._scores = {}, {}, {}
        self.model.logits(ids, torch.tensor([0], device=ids.device))
        if len(self._scores) != len(self._modules):
            raise ModelError(
                f"{type(self.model.model).__name__} computed attention by our function "
                f"in {len(self._scores)} of {len(self._modules)} layers. Expected an "
                f"architecture that uses the attention interface of transformers. "
                f"Leave the claims about attention out for this model."
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

    def _keep_input(self, visit: Visit) -> None:
        self._inputs[visit.index] = visit.tensor

    def _keep_output(self, visit: Visit) -> None:
        rows = torch.arange(len(visit.tensor), device=visit.tensor.device)
        self._outputs[visit.index] = visit.tensor[rows, self._last]

    def _attend(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, None]:
        """Attend as usual, and keep the last token's products.

        Args:
            module: The layer's attention.
            query: Shape (n_prompts, n_heads, n_tokens, d_head).
            key: Shape (n_prompts, n_key_heads, n_tokens, d_head).
            value: Shape (n_prompts, n_key_heads, n_tokens, d_head).
            attention_mask: Added to the products, shape (…, n_tokens, n_tokens).
            scaling: Factor of the products; None is 1/√d_head.
            kwargs: Options of other attention functions.

        Returns:
            Shape (n_prompts, n_tokens, n_heads, d_head).
        """
        shared = query.shape[1] // key.shape[1]
        key, value = (t.repeat_interleave(shared, dim=1) for t in (key, value))
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        products = scale * query @ key.transpose(-1, -2)
        rows = torch.arange(len(query), device=query.device)
        layer = self._modules.index(module)
        self._scores[layer] = products[rows, :, self._last]
        masked = products if attention_mask is None else products + attention_mask
        weights = torch.softmax(masked, dim=-1, dtype=torch.float32).to(value.dtype)
        return (weights @ value).transpose(1, 2).contiguous(), None
