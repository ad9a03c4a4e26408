"""Which models of the library ``model`` is right for, and how they differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from probes.models.architectures import architecture_of, described_architecture
from probes.models.llama.activation import ACTIVATIONS

ROPE_TYPES = ("default", "linear", "llama3")  # independent of the prompt's length
GEMMAS = ("gemma", "gemma3_text")
"""Values of ``model_type`` of models whose norms scale by 1 + w, in float32."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """How a model of the family is built, apart from its sizes.

    Attributes:
        activation: The function in the MLP, a key of ``ACTIVATIONS``.
        adds_one: Whether norms scale by 1 + w instead of w.
        has_head_norms: Whether the heads of queries and keys are normalized.
        is_sandwiched: Whether attention and MLP have a second norm, at their output.
        query_scale: The factor of every attention score.
        logit_cap: The c of logits c · tanh(z / c); None if they are not capped.
        windows: How many tokens back each layer attends; None means all.
        rotary_kinds: The name of each layer's rotary angles; None if all have the same.
    """

    activation: str
    adds_one: bool
    has_head_norms: bool
    is_sandwiched: bool
    query_scale: float
    logit_cap: float | None
    windows: list[int | None]
    rotary_kinds: list[str | None]

    @classmethod
    def of(cls, model: Any, *, d_head: int) -> Design:
        """Read the design of a model whose heads have d_head numbers."""
        config = model.config.get_text_config()
        norms = architecture_of(model).norms
        scalar = getattr(config, "query_pre_attn_scalar", None) or d_head
        return cls(
            activation=_activation(config),
            adds_one=config.model_type in GEMMAS,
            has_head_norms="self_attn.q_norm" in norms,
            is_sandwiched="post_feedforward_layernorm" in norms,
            query_scale=float(scalar) ** -0.5,
            logit_cap=getattr(config, "final_logit_softcapping", None),
            windows=attention_windows(config),
            rotary_kinds=_rotary_kinds(config),
        )

    @property
    def norm_before_mlp(self) -> str:
        """The name of the norm at the MLP's input."""
        return (
            "pre_feedforward_layernorm"
            if self.is_sandwiched
            else "post_attention_layernorm"
        )

    @property
    def norm_after_attention(self) -> str | None:
        """The name of the norm at the output of attention, if there is one."""
        return "post_attention_layernorm" if self.is_sandwiched else None

    @property
    def norm_after_mlp(self) -> str | None:
        """The name of the norm at the MLP's output, if there is one."""
        return "post_feedforward_layernorm" if self.is_sandwiched else None


def head_norm_of(projection: str) -> str:
    """Name the norm of the heads of queries or keys, by their projection."""
    return projection.removesuffix("_proj") + "_norm"


def is_llama_family(model: Any) -> bool:
    """Check that a model is of the family, on one device, without known variations."""
    config = model.config.get_text_config()
    described = described_architecture(str(model.config.model_type))
    return (
        described is not None
        and described.is_written_out
        and _activation(config) in ACTIVATIONS
        and all(map(_is_known_rotation, rope_settings(config)))
        and getattr(config, "attn_logit_softcapping", None) is None
        and not getattr(config, "use_bidirectional_attention", None)
        and len({p.device for p in model.parameters()}) == 1
        and isinstance(getattr(model, "lm_head", None), nn.Linear)
    )


def attention_windows(config: Any) -> list[int | None]:
    """Read how many tokens back each layer attends; None means all."""
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if window is None or config.model_type == "llama":
        return [None] * int(config.num_hidden_layers)
    if kinds is None:
        return [int(window)] * int(config.num_hidden_layers)
    return [int(window) if k == "sliding_attention" else None for k in kinds]


def _activation(config: Any) -> str:
    return str(getattr(config, "hidden_activation", None) or config.hidden_act)


def _rotary_kinds(config: Any) -> list[str | None]:
    """Name each layer's rotary angles, if kinds of layers differ in them."""
    if not _has_rotation_by_kind(config):
        return [None] * int(config.num_hidden_layers)
    return list(config.layer_types)


def rope_settings(config: Any) -> Iterable[Any]:
    """List the settings of rotary angles, one for each kind of layer."""
    rope = getattr(config, "rope_parameters", None) or {}
    return rope.values() if _has_rotation_by_kind(config) else [rope]


def _has_rotation_by_kind(config: Any) -> bool:
    rope = getattr(config, "rope_parameters", None) or {}
    return "rope_type" not in rope and bool(getattr(config, "layer_types", None))


def _is_known_rotation(rope: Any) -> bool:
    return (
        isinstance(rope, dict)
        and rope.get("rope_type") in ROPE_TYPES
        and float(rope.get("partial_rotary_factor") or 1.0) == 1.0
    )
