"""What self-attention does inside a Hugging Face model, read while it answers.

Three things of every layer: what enters self-attention, the products q·k/√d_head of the
last token before mask and softmax, and what self-attention puts out at the last token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from probes.errors import ModelError
from probes.models.causal_lm.causal_lm import TOKENS_A_BATCH, CausalLM, padded

RECORDING = "probes_recording"  # our name in the library's table of attention functions


@dataclass(frozen=True, kw_only=True)
class Attention:
    """What self-attention did in one prompt; float32, on the CPU.

    Attributes:
        outputs: Self-attention's output at the last token, after W_O, before it is
            added to the residual stream. Shape (n_layers, d_model).
        scores: q·k/√d_head of the last token with every token, before mask and softmax.
            Shape (n_layers, n_heads, n_tokens).
        inputs: What enters self-attention, after its norm. Shape (n_layers, n_tokens,
            d_model).
    """

    outputs: Tensor
    scores: Tensor
    inputs: Tensor


class Recorder:
    """Reads a model's self-attention while the context is open.

    Args:
        model: The loaded model. It answers as before, also with tuned weights.

    Raises:
        ModelError: The model's attention cannot be recorded.
    """

    def __init__(self, model: CausalLM) -> None:
        self.model = model
        self.last = torch.zeros(0, dtype=torch.long)
        self.modules = _attention_modules(model.model)
        self.found: dict[str, dict[int, Tensor]] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> Recorder:
        """Put our attention function in place of the model's own."""
        from transformers import AttentionInterface, AttentionMaskInterface
        from transformers.masking_utils import eager_mask

        AttentionInterface.register(RECORDING, self._attend)
        AttentionMaskInterface.register(RECORDING, eager_mask)
        self.before = self.model.model.config._attn_implementation
        self.model.model.set_attn_implementation(RECORDING)
        for layer, module in enumerate(self.modules):
            self._hooks.append(
                module.register_forward_hook(self._keeper(layer), with_kwargs=True)
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the model its own attention back."""
        self.model.model.set_attn_implementation(self.before)
        while self._hooks:
            self._hooks.pop().remove()

    def read(self, prompts: Sequence[Sequence[int]]) -> list[Attention]:
        """Run prompts whole, and read self-attention.

        Args:
            prompts: Token ids, at least one token each.

        Raises:
            ModelError: The architecture does not use the library's attention functions.
        """
        with torch.inference_mode():
            return [found for batch in _batches(prompts) for found in self._run(batch)]

    def _run(self, prompts: list[Sequence[int]]) -> Iterator[Attention]:
        ids, lengths = padded(prompts, self.model.device)
        self.last, self.found = lengths - 1, {"out": {}, "scores": {}, "in": {}}
        self.model.logits(ids, torch.tensor([0], device=ids.device))
        if len(self.found["scores"]) != len(self.modules):
            raise ModelError(
                f"{type(self.model.model).__name__} computed attention by our function "
                f"in {len(self.found['scores'])} of {len(self.modules)} layers. "
                f"Expected an architecture that uses the attention interface of "
                f"transformers. Leave the claims about attention out for this model."
            )
        stacked = {
            name: torch.stack([by_layer[i] for i in sorted(by_layer)], dim=1)
            .float()
            .cpu()
            for name, by_layer in self.found.items()
        }
        for row, n in enumerate(lengths.tolist()):
            yield Attention(
                outputs=stacked["out"][row],
                scores=stacked["scores"][row, :, :, :n],
                inputs=stacked["in"][row, :, :n],
            )

    def _keeper(self, layer: int) -> Any:
        def keep(_: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            entered = args[0] if args else kwargs["hidden_states"]
            left = output[0] if isinstance(output, tuple) else output
            rows = torch.arange(len(left), device=left.device)
            self.found["in"][layer] = entered
            self.found["out"][layer] = left[rows, self.last]  # (n_prompts, d_model)

        return keep

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
        """Attend as usual, keeping the last token's products.

        Args:
            module: The layer's attention.
            query: Shape (n_prompts, n_heads, n_tokens, d_head).
            key: Shape (n_prompts, n_key_heads, n_tokens, d_head).
            value: Shape (n_prompts, n_key_heads, n_tokens, d_head).
            attention_mask: Added to the products, shape (…, n_tokens, n_tokens).
            scaling: What products are multiplied by; None is 1/√d_head.
            kwargs: What other attention functions read.

        Returns:
            Shape (n_prompts, n_tokens, n_heads, d_head).
        """
        shared = query.shape[1] // key.shape[1]
        key, value = (t.repeat_interleave(shared, dim=1) for t in (key, value))
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        products = scale * query @ key.transpose(-1, -2)
        rows = torch.arange(len(query), device=query.device)
        layer = self.modules.index(module)
        self.found["scores"][layer] = products[rows, :, self.last]
        masked = products if attention_mask is None else products + attention_mask
        weights = torch.softmax(masked, dim=-1, dtype=torch.float32).to(value.dtype)
        return (weights @ value).transpose(1, 2).contiguous(), None


def _attention_modules(model: Any) -> list[nn.Module]:
    """Find the self-attention of every layer, in the order of layers."""
    n_layers = int(model.config.get_text_config().num_hidden_layers)
    found = [m for m in model.modules() if type(m).__name__.endswith("Attention")]
    if len(found) != n_layers:
        raise ModelError(
            f"{type(model).__name__} has {len(found)} attention modules and {n_layers} "
            f"layers. Expected one self-attention a layer. Leave the claims about "
            f"attention out for this model."
        )
    return found


def _batches(prompts: Sequence[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    size = max(1, TOKENS_A_BATCH // max(map(len, prompts)))
    for start in range(0, len(prompts), size):
        yield list(prompts[start : start + size])
