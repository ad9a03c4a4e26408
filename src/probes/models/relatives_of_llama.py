"""Descriptions of architectures whose modules are named as a Llama's, or nearly so.

Imports no torch.
"""

from __future__ import annotations

from dataclasses import replace

from probes.models.architecture_description import Architecture
from probes.models.fused_heads import in_three_blocks, setting

LLAMA = Architecture(
    model_types=("llama", "mistral", "qwen2"),
    layers="model.layers",
    attention="self_attn",
    W_Q="q_proj",
    W_K="k_proj",
    W_V="v_proj",
    W_O="o_proj",
    mlp=("mlp",),
    norm_of_gated_mlp="post_attention_layernorm",
    norms=("input_layernorm", "post_attention_layernorm"),
    final_norm="model.norm",
    embeddings=("model.embed_tokens",),
    is_written_out=True,
)
HEAD_NORMS = ("self_attn.q_norm", "self_attn.k_norm")
SANDWICH = ("pre_feedforward_layernorm", "post_feedforward_layernorm")
GEMMA = replace(LLAMA, model_types=("gemma",))
GEMMA3 = replace(
    LLAMA,
    model_types=("gemma3_text",),
    norm_of_gated_mlp="",  # another norm follows the MLP
    norms=(*HEAD_NORMS, *LLAMA.norms, *SANDWICH),
)
QWEN3 = replace(LLAMA, model_types=("qwen3",), norms=(*HEAD_NORMS, *LLAMA.norms))

RELATIVE = replace(
    LLAMA,
    model_types=("granite", "smollm3", "starcoder2"),
    norm_of_gated_mlp="",
    is_written_out=False,
)
"""Modules as in a Llama, which ``models.llama`` does not compute."""
GEMMA2 = replace(RELATIVE, model_types=("gemma2",), norms=(*LLAMA.norms, *SANDWICH))
GEMMA3_IN_A_WRAPPER = replace(
    GEMMA3,
    model_types=("gemma3",),
    layers="model.language_model.layers",
    final_norm="model.language_model.norm",
    embeddings=("model.language_model.embed_tokens",),
    is_written_out=False,
)
OLMO = replace(RELATIVE, model_types=("olmo",), norms=())
OLMO2 = replace(
    RELATIVE,
    model_types=("olmo2",),
    norms=(*HEAD_NORMS, "post_attention_layernorm", "post_feedforward_layernorm"),
)
STABLELM = replace(
    RELATIVE,
    model_types=("stablelm",),
    is_parallel=lambda config: setting(config, "use_parallel_residual", False),
)
COHERE = replace(
    RELATIVE,
    model_types=("cohere",),
    is_parallel=True,
    norms=(*HEAD_NORMS, "input_layernorm"),
)
PHI = replace(
    RELATIVE,
    model_types=("phi",),
    W_O="dense",
    is_parallel=True,
    norms=("self_attn.q_layernorm", "self_attn.k_layernorm", "input_layernorm"),
    final_norm="model.final_layernorm",
)
PHI3 = replace(
    RELATIVE,
    model_types=("phi3",),
    W_Q="qkv_proj",
    W_K="qkv_proj",
    W_V="qkv_proj",
    fused=in_three_blocks,
)
EXPERTS = replace(
    RELATIVE, model_types=("mixtral", "qwen2_moe", "gpt_oss"), has_experts=True
)
DEEPSEEK = replace(
    EXPERTS,
    model_types=("deepseek_v3",),
    W_Q=None,  # queries, keys and values pass through low ranks
    W_K=None,
    W_V=None,
    norms=("self_attn.q_a_layernorm", "self_attn.kv_a_layernorm", *LLAMA.norms),
)
QWEN3_NEXT = replace(
    EXPERTS,
    model_types=("qwen3_next",),
    attention=None,  # linear attention, a recurrent network, in most layers
    W_Q=None,
    W_K=None,
    W_V=None,
    W_O=None,
    norms=(*HEAD_NORMS, "linear_attn.norm", *LLAMA.norms),
    has_own_positions=True,
)
OPT = replace(
    RELATIVE,
    model_types=("opt",),
    layers="model.decoder.layers",
    W_O="out_proj",
    mlp=("fc1", "activation_fn", "fc2"),
    norms=("self_attn_layer_norm", "final_layer_norm"),
    final_norm="model.decoder.final_layer_norm",
    embeddings=("model.decoder.embed_tokens", "model.decoder.embed_positions"),
)
MAMBA = replace(
    QWEN3_NEXT,
    model_types=("mamba",),
    layers="backbone.layers",
    mlp=(),
    has_experts=False,
    norms=("norm",),
    final_norm="backbone.norm_f",
    embeddings=("backbone.embeddings",),
)

LLAMA_RELATIVES = (
    LLAMA, GEMMA, GEMMA2, GEMMA3, GEMMA3_IN_A_WRAPPER, QWEN3, RELATIVE, OLMO, OLMO2,
    STABLELM, COHERE, PHI, PHI3, EXPERTS, DEEPSEEK, QWEN3_NEXT, OPT, MAMBA,
)  # fmt: skip
