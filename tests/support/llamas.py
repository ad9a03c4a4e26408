"""Small models of the Llama family for tests, and the library's answers for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from probes.models.training.label_batches import LabelBatches
from tests.benchmarks.loops import batches_of
from tests.support.tiny_models import tiny

FAMILY = ["grouped_queries", "tied", "sliding", "qwen", "qwen3", "gemma", "gemma3"]
ROUNDED_SCALES = ("gemma", "gemma3")
"""Their norms' scales are applied in float32, and the gradients are sums in float32."""

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def built(kind: str, dtype: torch.dtype = torch.float64) -> Any:
    """Build a small model whose biases are not 0, and scales of norms not 1."""
    model = relative(kind) if kind in RELATIVES else tiny(kind)
    torch.manual_seed(4)
    for p in model.parameters():
        if p.dim() == 1:
            p.data += 0.3 * torch.randn_like(p)
    return model.to(dtype).eval()


RELATIVES: dict[str, dict[str, Any]] = {
    "qwen": {
        "model_type": "qwen2",
        "use_sliding_window": True,
        "sliding_window": 8,
        "max_window_layers": 1,
    },
    "qwen3": {"model_type": "qwen3", "head_dim": 16},
    "gemma": {"model_type": "gemma", "head_dim": 12},
    "gemma3": {
        "model_type": "gemma3_text",
        "head_dim": 12,
        "query_pre_attn_scalar": 20,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "final_logit_softcapping": 2.0,
    },
}
"""Settings of models with two query heads for each key head and three layers."""


def relative(kind: str) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = dict(RELATIVES[kind])
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        settings.pop("model_type"),
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128,
        **settings,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config)


def group(shared: int, lengths: list[int], seed: int = 0) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    prefix = rng.integers(3, 60, shared).tolist()
    return [[*prefix, *rng.integers(3, 60, n).tolist()] for n in lengths]


GROUPS = [group(30, [3, 9, 1, 4]), group(21, [2, 2, 7, 1], 1), group(0, [5, 6, 30, 2])]


def wanted(model: Any, prompt: list[int]) -> Tensor:
    with torch.no_grad():
        return model(torch.tensor([prompt])).logits[0, -1]


def disturbed(weights: dict[str, Any], n: int = 3) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {
        name: p.detach() + 0.05 * torch.randn(n, *p.shape, dtype=p.dtype)
        for name, p in weights.items()
    }


def examples(n_runs: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Two examples of two answer tokens each; every run's differ in length."""
    torch.manual_seed(2)
    ids = torch.randint(3, 60, (n_runs, 2, 14))
    reads = torch.tensor([[[0, 1], [2, 3]], [[1, 2], [0, 0]], [[2, 3], [3, 3]]])
    reads = reads[:n_runs]
    targets = torch.randint(3, 60, (n_runs, 2, 2))
    shares = torch.tensor([[0.5, 0.5], [1.0, 0.0]], dtype=torch.float64)
    columns = torch.tensor([8, 9, 12, 13])
    return columns, (ids, reads, targets, shares.expand(n_runs, -1, -1))


def plain_loss(
    model: Any,
    weights: dict[str, Tensor],
    columns: Tensor,
    ids: Tensor,
    reads: Tensor,
    targets: Tensor,
    shares: Tensor,
) -> Tensor:
    logits = torch.func.functional_call(model, weights, (ids,)).logits
    log_probs = torch.log_softmax(logits, -1)
    rows = torch.arange(2)[:, None]
    return -(log_probs[rows, columns[reads], targets] * shares).sum() / 2


def batches() -> LabelBatches:
    from tests.benchmarks.llamas import Prompts

    drawn = Prompts.draw(4, 1, seed=2)
    narrow = [[t % 60 for t in shown] for shown in drawn.demonstrations]
    few = Prompts(demonstrations=narrow, queries=[], labels=drawn.labels)
    return batches_of(few, [[0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]])
