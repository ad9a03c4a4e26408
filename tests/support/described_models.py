"""A small model of every described architecture, without its numbers."""

from __future__ import annotations

from typing import Any

import torch

from probes.models.architectures import ARCHITECTURES

DESCRIBED = [kind for described in ARCHITECTURES for kind in described.model_types]
VOCABULARY, CONTEXT = 61, 59  # like no other size
WITHOUT_SCALES = ("olmo",)
"""Kinds whose norms have no weights."""


def described(kind: str) -> Any:
    """Build a model of a ``model_type`` on the meta device."""
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": CONTEXT,
        "pad_token_id": 0,
    }
    if kind == "gpt_neo":  # its number of layers is stated twice
        sizes["attention_types"] = [[["global", "local"], 1]]
    if kind == "gemma3":  # also reads images
        sizes = {"text_config": sizes}
    config = AutoConfig.for_model(kind, **sizes)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)
