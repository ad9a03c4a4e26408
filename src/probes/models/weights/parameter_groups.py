"""Sub-models by name: which parameters a learner may move."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from probes.errors import OptionError

ATTENTION = ("W_Q", "W_K", "W_V", "W_O")
ROLES = {
    "W_Q": ("q_proj.weight",),
    "W_K": ("k_proj.weight",),
    "W_V": ("v_proj.weight",),
    "W_O": ("o_proj.weight", "out_proj.weight"),
    "mlp": ("mlp.",),
    "norm": ("norm.weight", "ln_1.weight", "ln_2.weight"),
}
ROLES["lora"] = tuple(part for role in ATTENTION for part in ROLES[role])


def parameters_of(model: Any, weights: str) -> dict[str, Any]:
    """Find the parameters that a sub-model's name stands for.

    Args:
        model: A Hugging Face causal language model.
        weights: "all", or ``ROLE@LAYER``: a role of W_Q, W_K, W_V, W_O, mlp, norm, or
            lora (the four projections of self-attention); a layer number, "first",
            "middle", "deep" (three quarters up), "last", or "all".

    Raises:
        OptionError: The name is none of these, or the architecture has no such weights.
    """
    named = dict(model.named_parameters())
    if weights == "all":
        return named
    role, _, place = weights.partition("@")
    n_layers = int(model.config.get_text_config().num_hidden_layers)
    places = {
        "first": 0,
        "middle": n_layers // 2,
        "deep": 3 * n_layers // 4,
        "last": n_layers - 1,
    }
    layer = places.get(place, int(place) if place.isdigit() else -1)
    found = {
        name: parameter
        for name, parameter in named.items()
        if (match := re.search(r"\.(\d+)\.", name))
        and (place == "all" or int(match.group(1)) == layer)
        and any(part in name for part in ROLES.get(role, ()))
    }
    if not found:
        raise OptionError(
            f"The sub-model {weights!r} names no weights of a model with {n_layers} "
            f"layers. Expected 'all' or ROLE@LAYER with a role of {', '.join(ROLES)} "
            f"and a layer of {', '.join(places)}, all, or 0…{n_layers - 1}. Mend "
            f"weights=."
        )
    return found


def lowest_layer(names: Iterable[str]) -> int:
    """Find the lowest layer whose weights are named; 0 if one stands in no layer."""
    found = [re.search(r"\.(\d+)\.", name) for name in names]
    return min(int(match.group(1)) if match else 0 for match in found)
