"""Descriptions of architectures whose modules are named as a GPT's.

Imports no torch.
"""

from __future__ import annotations

from dataclasses import replace

from probes.models.architecture_description import Architecture
from probes.models.fused_heads import (
    head_by_head,
    in_three_blocks,
    of_codegen,
    of_falcon,
    of_gpt_bigcode,
    setting,
)

GPTJ = Architecture(
    model_types=("gptj",),
    layers="transformer.h",
    attention="attn",
    W_Q="q_proj",
    W_K="k_proj",
    W_V="v_proj",
    W_O="out_proj",
    mlp=("mlp",),
    is_parallel=True,
    norms=("ln_1",),
    final_norm="transformer.ln_f",
    embeddings=("transformer.wte",),
)
CODEGEN = replace(
    GPTJ,
    model_types=("codegen",),
    W_Q="qkv_proj",
    W_K="qkv_proj",
    W_V="qkv_proj",
    fused=of_codegen,
)
GPT_NEO = replace(
    GPTJ,
    model_types=("gpt_neo",),
    attention="attn.attention",
    is_parallel=False,
    norms=("ln_1", "ln_2"),
    embeddings=("transformer.wte", "transformer.wpe"),
)
GPT2 = replace(
    GPT_NEO,
    model_types=("gpt2",),
    attention="attn",
    W_Q="c_attn",
    W_K="c_attn",
    W_V="c_attn",
    W_O="c_proj",
    fused=in_three_blocks,
    is_transposed=True,
)
GPT_BIGCODE = replace(
    GPT2, model_types=("gpt_bigcode",), fused=of_gpt_bigcode, is_transposed=False
)
GPT_NEOX = Architecture(
    model_types=("gpt_neox",),
    layers="gpt_neox.layers",
    attention="attention",
    W_Q="query_key_value",
    W_K="query_key_value",
    W_V="query_key_value",
    W_O="dense",
    fused=head_by_head,
    mlp=("mlp",),
    is_parallel=lambda config: setting(config, "use_parallel_residual", True),
    norms=("input_layernorm", "post_attention_layernorm"),
    final_norm="gpt_neox.final_layer_norm",
    embeddings=("gpt_neox.embed_in",),
)
BLOOM = replace(
    GPT_NEOX,
    model_types=("bloom",),
    layers="transformer.h",
    attention="self_attention",
    is_parallel=False,
    final_norm="transformer.ln_f",
    embeddings=("transformer.word_embeddings", "transformer.word_embeddings_layernorm"),
    has_own_positions=True,
)
FALCON = replace(
    BLOOM,
    model_types=("falcon",),
    fused=of_falcon,
    is_parallel=lambda config: (
        setting(config, "parallel_attn", True)
        or setting(config, "new_decoder_architecture", False)
    ),
    norms=("input_layernorm", "post_attention_layernorm", "ln_attn", "ln_mlp"),
    embeddings=("transformer.word_embeddings",),
    has_own_positions=lambda config: setting(config, "alibi", False),
)
MPT = replace(
    GPT_NEOX,
    model_types=("mpt",),
    layers="transformer.blocks",
    attention="attn",
    W_Q="Wqkv",
    W_K="Wqkv",
    W_V="Wqkv",
    W_O="out_proj",
    fused=in_three_blocks,
    mlp=("ffn",),
    is_parallel=False,
    norms=("norm_1", "norm_2"),
    final_norm="transformer.norm_f",
    embeddings=("transformer.wte",),
    has_own_positions=True,
)
GPT_RELATIVES = (
    GPTJ, CODEGEN, GPT_NEO, GPT2, GPT_BIGCODE, GPT_NEOX, BLOOM, FALCON, MPT,
)  # fmt: skip
