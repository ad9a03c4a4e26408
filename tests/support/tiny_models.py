"""Small text models for tests, and what is asked of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from probes.cell import Settings
from probes.learners import GradientLearner
from probes.observations.request import Request
from probes.run.grid import MODELS, dataset_named

SETTINGS = Settings(n_sets=4, n_queries=5, n_calibration=6, n_orders=3)


HMM = MODELS.get("hmm_llama")


GD = GradientLearner(rate=0.1, passes=2)


def ask(learner: Any, settings: Settings = SETTINGS, **changes: Any) -> Request:
    return Request(
        learner=learner,
        model=changes.pop("model", HMM),
        dataset=dataset_named("hmm"),
        n_demonstrations=4,
        settings=settings,
        **changes,
    )


def prompts(lengths: list[int], shared: int) -> list[list[int]]:
    rng = np.random.default_rng(0)
    prefix = rng.integers(3, 50, shared).tolist()
    return [[0, *prefix, *rng.integers(3, 50, n).tolist()] for n in lengths]


def tiny(kind: str) -> Any:
    from transformers import (
        AutoModelForCausalLM,
        GPTJConfig,
        GPTNeoXConfig,
        LlamaConfig,
        MistralConfig,
    )

    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 128,
    }
    configs: dict[str, Callable[[], Any]] = {
        "grouped_queries": lambda: LlamaConfig(**sizes, num_key_value_heads=2),
        "tied": lambda: LlamaConfig(**sizes, tie_word_embeddings=True),
        "sliding": lambda: MistralConfig(
            **sizes, num_key_value_heads=2, sliding_window=8
        ),
        "neox": lambda: GPTNeoXConfig(**sizes),
        "gptj": lambda: GPTJConfig(
            vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=128, rotary_dim=4
        ),
    }
    return AutoModelForCausalLM.from_config(configs[kind]())
