"""Which models of the library ``model`` is right for, and what their config says."""

from __future__ import annotations

from typing import Any

from torch import nn

from probes.models.architectures import architecture_of

ROPE_TYPES = ("default", "linear", "llama3")  # independent of the prompt's length


def is_llama_family(model: Any) -> bool:
    """Check that a model is of the family, on one device, without known variations."""
    config = model.config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or {}
    return (
        architecture_of(model).is_written_out
        and config.hidden_act == "silu"
        and rope.get("rope_type") in ROPE_TYPES
        and float(rope.get("partial_rotary_factor") or 1.0) == 1.0
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
