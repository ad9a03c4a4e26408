"""Llamas of random weights and prompts of random tokens: only their sizes matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from probes.models.causal_lm.causal_lm import CausalLM

N_VOCAB = 8192
SIZES: dict[str, dict[str, Any]] = {
    "7 M": {
        "hidden_size": 256,
        "intermediate_size": 688,
        "num_hidden_layers": 6,
        "tie_word_embeddings": True,
    },
    "100 M": {
        "hidden_size": 768,
        "intermediate_size": 2048,
        "num_hidden_layers": 12,
        "tie_word_embeddings": False,
    },
}
SHORTEST, LONGEST = 16, 32  # tokens of a demonstration or query, as in reviews


def llama(size: str, **changes: Any) -> CausalLM:
    """Build a Llama of about so many weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    d_model = SIZES[size]["hidden_size"]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=N_VOCAB,
        num_attention_heads=d_model // 64,
        num_key_value_heads=d_model // 64,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=1,
        **SIZES[size],
        **changes,
    )
    return CausalLM(LlamaForCausalLM(config), None)


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Demonstrations and queries in tokens, and two labels of a token each."""

    demonstrations: list[list[int]]
    queries: list[list[int]]
    labels: tuple[int, int] = (11, 12)

    @classmethod
    def draw(cls, n_demonstrations: int, n_queries: int, *, seed: int = 0) -> Prompts:
        """Draw token ids and lengths."""
        rng = np.random.default_rng(seed)

        def texts(n: int) -> list[list[int]]:
            lengths = rng.integers(SHORTEST, LONGEST + 1, n)
            return [rng.integers(20, N_VOCAB, size).tolist() for size in lengths]

        return cls(demonstrations=texts(n_demonstrations), queries=texts(n_queries))

    def label(self, index: int) -> int:
        """Give the label of a demonstration."""
        return self.labels[index % 2]

    def in_context(self, order: list[int] | None = None) -> list[list[int]]:
        """Write every query after the demonstrations, in some order."""
        shown = [0]
        for i in order or range(len(self.demonstrations)):
            shown += [*self.demonstrations[i], self.label(i)]
        return [[*shown, *query] for query in self.queries]
