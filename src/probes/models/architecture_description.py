"""What is stated of an architecture: where its layers, matrices and norms are.

A description answers which parameters a role names, which modules hooks need, and what
the architecture cannot be asked. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from probes.models.fused_heads import FUSED_ROLES, FusedOrder

ATTENTION_MATRICES = ("W_Q", "W_K", "W_V", "W_O")
PARAMETER_ROLES = (*ATTENTION_MATRICES, "mlp", "norm", "lora")
"""Groups of parameters within a layer. LoRA adapts all four attention matrices."""
Condition = bool | Callable[[Any], bool]
"""True or false of every model, or read from the configuration."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Names of a Hugging Face causal language model's modules, as in its state dict.

    Attributes:
        model_types: Values of ``model_type`` in config.json that this describes.
        layers: Path of the list of layers, from the model.
        attention: Path of self-attention within a layer; None where not every layer
            has it.
        W_Q: Module of the query matrix within ``attention``; None where there is no
            such matrix. Its weight has shape (d_out, d_in).
        W_K: The same for keys.
        W_V: The same for values.
        W_O: The same for the output, which self-attention adds to the residual stream.
        fused: The order of heads if W_Q, W_K and W_V are one matrix, whose module is
            then named three times; None where each has its own.
        is_transposed: Whether matrices have shape (d_in, d_out), as in a Conv1D.
        mlp: Paths of the modules within a layer that compute the MLP, in their order.
        norm_of_gated_mlp: Path within a layer of the RMS norm that a gated MLP reads
            through, if a layer is as in a Llama: the MLP is W_D (act(W_G z) ⊙ W_U z),
            and its output is added to what the norm reads, unchanged. Else empty.
        has_experts: Whether the MLP chooses among several.
        is_parallel: Whether the MLP reads the layer's input, and not what attention
            added to it.
        norms: Paths that norms may have within a layer.
        final_norm: Path of the norm after the last layer, from the model.
        embeddings: Paths of the embeddings of tokens and positions, from the model. The
            library itself knows which module forms the logits.
        has_own_positions: Whether positions follow from the order of tokens alone, as
            with ALiBi or in a recurrent network, so that none can be given.
        is_written_out: Whether ``models.llama`` computes this architecture.
    """

    model_types: tuple[str, ...]
    layers: str
    attention: str | None
    W_Q: str | None
    W_K: str | None
    W_V: str | None
    W_O: str | None
    fused: FusedOrder | None = None
    is_transposed: bool = False
    mlp: tuple[str, ...]
    norm_of_gated_mlp: str = ""
    has_experts: bool = False
    is_parallel: Condition = False
    norms: tuple[str, ...]
    final_norm: str
    embeddings: tuple[str, ...]
    has_own_positions: Condition = False
    is_written_out: bool = False

    def layers_of(self, model: Any) -> list[Any]:
        """Find the layers of a loaded model, the lowest first."""
        return list(model.get_submodule(self.layers))

    def modules_of(self, model: Any, *path: str | None) -> list[Any]:
        """Find one module in every layer, by the parts of its path."""
        whole = ".".join(part for part in path if part)
        return [layer.get_submodule(whole) for layer in self.layers_of(model)]

    def selects(self, role: str, name: str) -> bool:
        """Say whether a parameter of a layer belongs to a role, whole or in part.

        Args:
            role: One of ``PARAMETER_ROLES``; no parameter belongs to any other.
            name: Full name of a parameter of the model.
        """
        inside = self._within_layer(name)
        if inside is None or self.lacks(role):
            return False
        if role == "mlp":
            return any(inside.startswith(f"{module}.") for module in self.mlp)
        if role == "norm":
            return inside.removesuffix(".weight") in self.norms
        return bool(self.matrices(role, name))

    def matrices(self, role: str, name: str) -> list[str]:
        """List the attention matrices of a role that a parameter holds.

        Args:
            role: One of ``ATTENTION_MATRICES``, or "lora" for all of them.
            name: Full name of a parameter of the model.
        """
        wanted = ATTENTION_MATRICES if role == "lora" else (role,)
        inside = self._within_layer(name)
        return [
            matrix
            for matrix in ATTENTION_MATRICES
            if matrix in wanted
            and inside == f"{self.attention}.{getattr(self, matrix)}.weight"
        ]

    def is_fused(self, matrix: str) -> bool:
        """Say whether an attention matrix is a part of another."""
        return self.fused is not None and matrix in FUSED_ROLES

    def lacks(self, role: str) -> str:
        """Say what an architecture lacks for a role; nothing if it lacks nothing."""
        wanted = ATTENTION_MATRICES if role == "lora" else (role,)
        for matrix in wanted:
            if matrix in ATTENTION_MATRICES and getattr(self, matrix) is None:
                return f"its layers have no matrix {matrix}"
        if role == "mlp" and not self.mlp:
            return "its layers have no MLP"
        if role == "norm" and not self.norms:
            return "its norms have no weights"
        return ""

    def is_embedding_or_norm(self, path: str) -> bool:
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


def is_true_of(condition: Condition, config: Any) -> bool:
    """Say whether a condition holds for a configuration, loaded or as in its file."""
    return condition if isinstance(condition, bool) else bool(condition(config))
