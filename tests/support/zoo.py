"""A zoo of small random language models, one of every architecture that matters.

Weights are larger than a library draws them, biases are not 0 and scales of norms are
not 1, so that leaving a part out shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from probes.models.architecture_description import Architecture
from probes.models.architectures import described_architecture
from probes.models.capabilities import missing_capability
from probes.models.causal_lm.causal_lm import CausalLM

VOCABULARY, CONTEXT = 64, 128
ORIGINAL_CONTEXT = 32
"""Longer prompts have other rotary frequencies in Phi-3."""
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
    "pad_token_id": None,
}
GROUPED: dict[str, Any] = {**SIZES, "num_key_value_heads": 2}
NARROW: dict[str, Any] = {**GROUPED, "head_dim": 12}
GPT: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": CONTEXT,
}
EXPERTS: dict[str, Any] = {"num_experts_per_tok": 2, "moe_intermediate_size": 24}
FALCON: dict[str, Any] = {**SIZES, "ffn_hidden_size": 48}
GEMMA3_TEXT: dict[str, Any] = {
    **NARROW,
    "query_pre_attn_scalar": 20,
    "sliding_window": 8,
    "layer_types": ["sliding_attention", "full_attention"],
}

VISION: dict[str, Any] = {
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}

ZOO: dict[str, tuple[str, Mapping[str, Any]]] = {
    "llama": ("llama", GROUPED),
    "mistral": ("mistral", {**GROUPED, "sliding_window": 8}),
    "qwen2": ("qwen2", GROUPED),
    "qwen3": ("qwen3", NARROW),
    "gemma": ("gemma", NARROW),
    "gemma2": (
        "gemma2",
        {
            **NARROW,
            "query_pre_attn_scalar": 20,
            "sliding_window": 8,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 3.0,
        },
    ),
    "gemma3_text": ("gemma3_text", GEMMA3_TEXT),
    "gemma3": ("gemma3", {"text_config": GEMMA3_TEXT, "vision_config": VISION}),
    "gemma3_bidirectional": (
        "gemma3_text",
        {**GEMMA3_TEXT, "use_bidirectional_attention": True},
    ),
    "phi": ("phi", SIZES),
    "phi3": (
        "phi3",
        {
            **GROUPED,
            "original_max_position_embeddings": ORIGINAL_CONTEXT,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "short_factor": [1.0, 1.1, 1.2, 1.3],
                "long_factor": [1.0, 2.0, 3.0, 4.0],
            },
        },
    ),
    "stablelm": ("stablelm", GROUPED),
    "olmo": ("olmo", SIZES),
    "olmo2": ("olmo2", GROUPED),
    "cohere": ("cohere", {**GROUPED, "logit_scale": 1.0}),
    "granite": (
        "granite",
        {**GROUPED, "attention_multiplier": 0.3, "residual_multiplier": 0.5},
    ),
    "smollm3": ("smollm3", GROUPED),
    "starcoder2": ("starcoder2", {**GROUPED, "sliding_window": 8}),
    "mixtral": ("mixtral", {**GROUPED, "num_local_experts": 4}),
    "qwen2_moe": (
        "qwen2_moe",
        {
            **GROUPED,
            **EXPERTS,
            "num_experts": 4,
            "shared_expert_intermediate_size": 24,
            "decoder_sparse_step": 2,
        },
    ),
    "opt": (
        "opt",
        {**SIZES, "ffn_dim": 48, "word_embed_proj_dim": 32, "pad_token_id": 1},
    ),
    "gpt2": ("gpt2", GPT),
    "gpt_bigcode": ("gpt_bigcode", {**GPT, "multi_query": True}),
    "gpt_neox": ("gpt_neox", SIZES),
    "gpt_neox_sequential": ("gpt_neox", {**SIZES, "use_parallel_residual": False}),
    "gptj": ("gptj", {**GPT, "rotary_dim": 4}),
    "gpt_neo": (
        "gpt_neo",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "max_position_embeddings": CONTEXT,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 8,
        },
    ),
    "codegen": ("codegen", {**GPT, "rotary_dim": 4}),
    "bloom": (
        "bloom",
        {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4},
    ),
    "falcon": ("falcon", {**FALCON, "multi_query": True, "alibi": False}),
    "falcon_groups": (
        "falcon",
        {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2},
    ),
    "falcon_alibi": (
        "falcon",
        {
            **FALCON,
            "alibi": True,
            "multi_query": False,
            "parallel_attn": False,
            "bias": True,
        },
    ),
    "mpt": (
        "mpt",
        {"vocab_size": VOCABULARY, "d_model": 32, "n_layers": 2, "n_heads": 4},
    ),
    "gpt_oss": (
        "gpt_oss",
        {
            **NARROW,
            "sliding_window": 8,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "deepseek_v3": (
        "deepseek_v3",
        {
            **SIZES,
            **EXPERTS,
            "num_key_value_heads": 4,
            "q_lora_rank": 16,
            "kv_lora_rank": 8,
            "qk_nope_head_dim": 8,
            "qk_rope_head_dim": 4,
            "v_head_dim": 8,
            "n_routed_experts": 4,
            "n_group": 2,
            "topk_group": 1,
            "first_k_dense_replace": 1,
        },
    ),
    "mamba": (
        "mamba",
        {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2},
    ),
    "qwen3_next": (
        "qwen3_next",
        {
            **NARROW,
            **EXPERTS,
            "num_experts": 4,
            "shared_expert_intermediate_size": 24,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "layer_types": ["linear_attention", "full_attention"],
        },
    ),
    "bert": ("bert", SIZES),
    "xglm": (
        "xglm",
        {
            "vocab_size": VOCABULARY,
            "d_model": 32,
            "num_layers": 2,
            "attention_heads": 4,
            "ffn_dim": 48,
            "max_position_embeddings": CONTEXT,
        },
    ),
}
"""The ``model_type`` and the settings of every entry, by its name."""


def built(
    name: str, dtype: torch.dtype = torch.float32, attention: str | None = None
) -> Any:
    """Build an entry with seeded weights, as a module of the library.

    Args:
        name: The entry.
        dtype: Its precision.
        attention: An attention implementation; None is the library's choice.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    kind, settings = ZOO[name]
    config = AutoConfig.for_model(kind, **settings)
    torch.manual_seed(0)
    chosen = {} if attention is None else {"attn_implementation": attention}
    model = AutoModelForCausalLM.from_config(config, **chosen)
    torch.manual_seed(1)
    with torch.no_grad():
        for path, p in model.named_parameters():
            if p.dim() == 1:
                p += 0.2 * torch.randn_like(p)
            elif "A_log" not in path:
                size = 0.3 if p.shape[0] == VOCABULARY else 0.2
                p.copy_(size * torch.randn_like(p))
    return model.to(dtype).eval().requires_grad_(False)


@cache
def loaded(name: str, dtype: torch.dtype = torch.float32) -> CausalLM:
    """Build an entry as learners ask it, once for all tests."""
    return CausalLM(built(name, dtype), None)


def architecture(name: str) -> Architecture | None:
    """Find the description of an entry's architecture."""
    return described_architecture(ZOO[name][0])


def why_not(name: str, need: str) -> str:
    """Say why an entry cannot be asked something; nothing if it can."""
    config = loaded(name).model.config.get_text_config()
    return missing_capability(need, architecture(name), config)


def able(need: str) -> list[str]:
    """List the causal entries that can be asked something."""
    return [name for name in CAUSAL if not why_not(name, need)]


ENCODERS = ("bert", "gemma3_bidirectional")
"""Entries in which tokens see later ones."""
CAUSAL = [name for name in ZOO if name not in ENCODERS]
_RNG = np.random.default_rng(0)
_PREFIX = _RNG.integers(2, 60, 12).tolist()
PROMPTS: list[list[int]] = [
    [*_PREFIX, *_RNG.integers(2, 60, n).tolist()] for n in (3, 6, 2, 6)
]
"""Prompts that begin alike, longer than every sliding window of the zoo."""


def plain_logits(model: Any, prompt: list[int]) -> torch.Tensor:
    """Run one whole prompt without a cache, shape (n_tokens, n_vocab)."""
    with torch.no_grad():
        logits: torch.Tensor = model(torch.tensor([prompt]), use_cache=False).logits[0]
    return logits
