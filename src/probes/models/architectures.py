"""One description per architecture: where its layers, matrices and norms are.

To support an architecture, add one :class:`Architecture` to ``ARCHITECTURES``.
Sub-models, hooks, untrained models that keep their embeddings, and the choice of the
written-out forward pass read nothing else. Architectures without a description are
guessed at in ``models.undescribed_architecture``, and only there. Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from probes.errors import ModelError
from probes.models.undescribed_architecture import UndescribedArchitecture

ATTENTION_MATRICES = ("W_Q", "W_K", "W_V", "W_O")
PARAMETER_ROLES = (*ATTENTION_MATRICES, "mlp", "norm", "lora")
"""Groups of parameters within a layer. LoRA adapts all four attention matrices."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Names of a Hugging Face causal language model's modules, as in its state dict.

    Attributes:
        model_types: Values of ``model_type`` in config.json that this describes.
        layers: Path of the list of layers, from the model.
        attention: Path of self-attention within a layer.
        W_Q: Module of the query matrix within ``attention``; None where no matrix is
            the queries' alone. Its weight has shape (d_out, d_in).
        W_K: The same for keys.
        W_V: The same for values.
        W_O: The same for the output.
        fused: Module that holds W_Q, W_K and W_V in one matrix; None where each has its
            own.
        is_transposed: Whether matrices have shape (d_in, d_out), as in a Conv1D.
        mlp: Path of the MLP within a layer; None where it is no module of its own.
        norms: Paths of the norms within a layer.
        final_norm: Path of the norm after the last layer, from the model.
        embeddings: Paths of the embeddings of tokens and positions, from the model. The
            library itself knows which module forms the logits.
        is_written_out: Whether ``models.llama`` computes this architecture.
    """

    model_types: tuple[str, ...]
    layers: str
    attention: str
    W_Q: str | None
    W_K: str | None
    W_V: str | None
    W_O: str | None
    fused: str | None = None
    is_transposed: bool = False
    mlp: str | None
    norms: tuple[str, ...]
    final_norm: str
    embeddings: tuple[str, ...]
    is_written_out: bool = False

    def layers_of(self, model: Any) -> list[Any]:
        """Find the layers of a loaded model, the lowest first."""
        return list(model.get_submodule(self.layers))

    def attentions_of(self, model: Any) -> list[Any]:
        """Find the self-attention of every layer."""
        return [layer.get_submodule(self.attention) for layer in self.layers_of(model)]

    def mlps_of(self, model: Any) -> list[Any]:
        """Find the MLP of every layer.

        Raises:
            ModelError: The MLP is no module of its own.
        """
        if self.mlp is None:
            raise ModelError(
                f"The MLP of {type(model).__name__} is no module of its own. Expected "
                f"an architecture with one MLP module per layer. Leave the claim about "
                f"rank-one patches out for this model."
            )
        return [layer.get_submodule(self.mlp) for layer in self.layers_of(model)]

    def selects(self, role: str, name: str) -> bool:
        """Say whether a parameter of a layer belongs to a role.

        Args:
            role: One of ``PARAMETER_ROLES``; no parameter belongs to any other.
            name: Full name of a parameter of the model.
        """
        inside = self._within_layer(name)
        if inside is None:
            return False
        if role == "mlp":
            return self.mlp is not None and inside.startswith(f"{self.mlp}.")
        if role == "norm":
            return inside.removesuffix(".weight") in self.norms
        matrices = {matrix: getattr(self, matrix) for matrix in ATTENTION_MATRICES}
        if role in matrices:
            matrices = {role: matrices[role]}
        elif role != "lora":
            return False
        return any(
            module is not None and inside == f"{self.attention}.{module}.weight"
            for module in matrices.values()
        )

    def is_embedding_or_norm(self, path: str, _: Any) -> bool:
        """Say whether a module, by its path from the model, embeds or normalises."""
        return (
            path in self.embeddings
            or path == self.final_norm
            or self._within_layer(path) in self.norms
        )

    def _within_layer(self, path: str) -> str | None:
        """Drop the layer's own path from a path; None where it is in no layer."""
        if not path.startswith(f"{self.layers}."):
            return None
        return path[len(self.layers) + 1 :].partition(".")[2]


LLAMA = Architecture(
    model_types=("llama", "mistral", "qwen2"),
    layers="model.layers",
    attention="self_attn",
    W_Q="q_proj",
    W_K="k_proj",
    W_V="v_proj",
    W_O="o_proj",
    mlp="mlp",
    norms=("input_layernorm", "post_attention_layernorm"),
    final_norm="model.norm",
    embeddings=("model.embed_tokens",),
    is_written_out=True,
)
HEAD_NORMS = ("self_attn.q_norm", "self_attn.k_norm")
GEMMA = replace(LLAMA, model_types=("gemma",))
GEMMA3 = replace(
    LLAMA,
    model_types=("gemma3_text",),
    norms=(
        *HEAD_NORMS,
        *LLAMA.norms,
        "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
    ),
)
QWEN3 = replace(LLAMA, model_types=("qwen3",), norms=(*HEAD_NORMS, *LLAMA.norms))
OLMO2 = replace(
    LLAMA,
    model_types=("olmo2",),
    norms=(*HEAD_NORMS, "post_attention_layernorm", "post_feedforward_layernorm"),
    is_written_out=False,
)
PHI3 = replace(
    OLMO2,
    model_types=("phi3",),
    norms=LLAMA.norms,
    W_Q=None,
    W_K=None,
    W_V="qkv_proj",  # for now "W_V" moves the whole fused matrix of this architecture
    fused="qkv_proj",
)
OPT = Architecture(
    model_types=("opt",),
    layers="model.decoder.layers",
    attention="self_attn",
    W_Q="q_proj",
    W_K="k_proj",
    W_V="v_proj",
    W_O="out_proj",
    mlp=None,  # fc1 and fc2 are modules of the layer itself
    norms=("self_attn_layer_norm", "final_layer_norm"),
    final_norm="model.decoder.final_layer_norm",
    embeddings=("model.decoder.embed_tokens", "model.decoder.embed_positions"),
)
GPTJ = Architecture(
    model_types=("gptj",),
    layers="transformer.h",
    attention="attn",
    W_Q="q_proj",
    W_K="k_proj",
    W_V="v_proj",
    W_O="out_proj",
    mlp="mlp",
    norms=("ln_1",),
    final_norm="transformer.ln_f",
    embeddings=("transformer.wte",),
)
GPT2 = replace(
    GPTJ,
    model_types=("gpt2",),
    W_Q=None,
    W_K=None,
    W_V=None,
    W_O=None,
    fused="c_attn",
    is_transposed=True,
    norms=("ln_1", "ln_2"),
    embeddings=("transformer.wte", "transformer.wpe"),
)
GPT_NEOX = Architecture(
    model_types=("gpt_neox",),
    layers="gpt_neox.layers",
    attention="attention",
    W_Q=None,
    W_K=None,
    W_V=None,
    W_O=None,  # "dense"; no claim moves it without the other three
    fused="query_key_value",
    mlp="mlp",
    norms=("input_layernorm", "post_attention_layernorm"),
    final_norm="gpt_neox.final_layer_norm",
    embeddings=("gpt_neox.embed_in",),
)

ARCHITECTURES = (
    LLAMA, GEMMA, GEMMA3, QWEN3, OLMO2, PHI3, OPT, GPTJ, GPT2, GPT_NEOX,
)  # fmt: skip


def described_architecture(model_type: str) -> Architecture | None:
    """Find the description of a ``model_type``; None where there is none."""
    for architecture in ARCHITECTURES:
        if model_type in architecture.model_types:
            return architecture
    return None


def architecture_of(model: Any) -> Architecture | UndescribedArchitecture:
    """Find the description of a loaded model, or else guess at its parts by name."""
    described = described_architecture(str(model.config.model_type))
    return UndescribedArchitecture() if described is None else described
