"""Sub-models by name: which parameters a learner may move."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from probes.errors import OptionError
from probes.models.architecture_description import PARAMETER_ROLES
from probes.models.architectures import architecture_of

LAYER_NUMBER = re.compile(r"\.(\d+)\.")
"""The first number in a parameter's name is its layer's, in every architecture."""


def parameters_of(model: Any, weights: str) -> dict[str, Any]:
    """Find the parameters of a sub-model by its name.

    Args:
        model: A Hugging Face causal language model.
        weights: "all", or ``ROLE@LAYER``: a role of W_Q, W_K, W_V, W_O, mlp, norm, or
            lora (the four matrices of self-attention); a layer number, "first",
            "middle", "deep" (three quarters up), "last", or "all".

    Returns:
        Whole parameters; ``weight_parts`` says which of their rows are meant.

    Raises:
        OptionError: The name is none of these, or the architecture has no such weights.
        ModelError: The architecture is not described.
    """
    named = dict(model.named_parameters())
    if weights == "all":
        return named
    role, _, place = weights.partition("@")
    n_layers = int(model.config.get_text_config().num_hidden_layers)
    places = named_layers(n_layers)
    layer = places.get(place, int(place) if place.isdigit() else -1)
    architecture = architecture_of(model)
    selected = {
        name: parameter
        for name, parameter in named.items()
        if (number := layer_number(name)) is not None
        and (place == "all" or number == layer)
        and architecture.selects(role, name)
    }
    if not selected:
        raise _no_such_weights(
            weights, n_layers, places=places, lacks=architecture.lacks(role)
        )
    return selected


def named_layers(n_layers: int) -> dict[str, int]:
    """Give the numbers of the layers that have names."""
    return {
        "first": 0,
        "middle": n_layers // 2,
        "deep": 3 * n_layers // 4,
        "last": n_layers - 1,
    }


def trained_share(weights: str, n_layers: int) -> float:
    """Return the share of a model's layers from a sub-model's lowest one upwards.

    Args:
        weights: As in :func:`parameters_of`.
        n_layers: Layers of the model.
    """
    place = weights.partition("@")[2]
    below = named_layers(n_layers).get(place, int(place) if place.isdigit() else 0)
    return 1 - below / n_layers


def _no_such_weights(
    weights: str, n_layers: int, *, places: Iterable[str], lacks: str
) -> OptionError:
    reason = f": {lacks}" if lacks else ""
    return OptionError(
        f"The sub-model {weights!r} names no weights of a model with {n_layers} "
        f"layers{reason}. Expected 'all' or ROLE@LAYER with a role of "
        f"{', '.join(PARAMETER_ROLES)} and a layer of {', '.join(places)}, all, or "
        f"0…{n_layers - 1}. Correct weights=."
    )


def layer_number(name: str) -> int | None:
    """Read the layer from a parameter's name; None where it is in no layer."""
    match = LAYER_NUMBER.search(name)
    return int(match.group(1)) if match else None


def lowest_layer(names: Iterable[str]) -> int:
    """Find the lowest layer of some parameters; 0 if one of them is in no layer."""
    return min(layer_number(name) or 0 for name in names)
