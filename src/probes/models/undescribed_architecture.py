"""Guesses at the parts of an architecture that has no description.

Everything that the project infers from names of modules and classes is here. A guess
can be wrong without an error: "qkv_proj" contains "v_proj". Describe an architecture
in ``models.architectures`` instead of widening a guess. Imports no torch.
"""

from __future__ import annotations

from typing import Any

from probes.errors import ModelError

PARTS_OF_NAMES = {
    "W_Q": ("q_proj.weight",),
    "W_K": ("k_proj.weight",),
    "W_V": ("v_proj.weight",),
    "W_O": ("o_proj.weight", "out_proj.weight"),
    "mlp": ("mlp.",),
    "norm": ("norm.weight", "ln_1.weight", "ln_2.weight"),
}


class UndescribedArchitecture:
    """Finds by common names what an :class:`Architecture` states."""

    fused: str | None = None
    is_transposed = False
    is_written_out = False

    def layers_of(self, model: Any) -> list[Any]:
        """Find the layers of a loaded model: the first list that has their number.

        Raises:
            ModelError: There is no such list.
        """
        from torch.nn import ModuleList

        n_layers = int(model.config.get_text_config().num_hidden_layers)
        for module in model.modules():
            if isinstance(module, ModuleList) and len(module) == n_layers:
                return list(module)
        raise ModelError(
            f"{type(model).__name__} has no list of {n_layers} layers. Expected the "
            f"layers in one torch.nn.ModuleList. Describe the architecture in "
            f"models/architectures.py."
        )

    def attentions_of(self, model: Any) -> list[Any]:
        """Find the self-attention of every layer: classes named ``…Attention``.

        Raises:
            ModelError: There is not one of them per layer.
        """
        n_layers = int(model.config.get_text_config().num_hidden_layers)
        attentions = [
            m for m in model.modules() if type(m).__name__.endswith("Attention")
        ]
        if len(attentions) != n_layers:
            raise ModelError(
                f"{type(model).__name__} has {len(attentions)} attention modules and "
                f"{n_layers} layers. Expected one self-attention per layer. Leave the "
                f"claims about attention out for this model."
            )
        return attentions

    def mlps_of(self, model: Any) -> list[Any]:
        """Find the MLP of every layer: children with a class named ``…MLP``.

        Raises:
            ModelError: A layer has not exactly one.
        """
        return [_mlp_of(layer) for layer in self.layers_of(model)]

    def selects(self, role: str, name: str) -> bool:
        """Say whether a parameter's name contains what names of a role contain."""
        if role == "lora":
            return any(self.selects(m, name) for m in ("W_Q", "W_K", "W_V", "W_O"))
        return any(part in name for part in PARTS_OF_NAMES.get(role, ()))

    def is_embedding_or_norm(self, _: str, module: Any) -> bool:
        """Say whether a module is an embedding, or its class is named as a norm is."""
        from torch.nn import Embedding

        return isinstance(module, Embedding) or "norm" in type(module).__name__.lower()


def _mlp_of(layer: Any) -> Any:
    mlps = [m for m in layer.children() if type(m).__name__.endswith("MLP")]
    if len(mlps) != 1:
        raise ModelError(
            f"{type(layer).__name__} has {len(mlps)} modules named as an MLP. "
            f"Expected one. Leave the claim about rank-one patches out for this model."
        )
    return mlps[0]
