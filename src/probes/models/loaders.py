"""Which function loads a network, by the kind of its weights. Imports no torch."""

from __future__ import annotations

from probes.cards import Checkpoint, Construction, Learned, ModelCard, Untrained

LOADERS = {
    Construction: "probes.models.regression.linear_attention:load_constructed",
    Learned: "probes.models.regression.checkpoints:load_learned",
    Checkpoint: "probes.models.causal_lm.loading:load_causal_lm",
}
"""Functions of a card and the run's settings, by the weights' type."""


def loader_of(card: ModelCard) -> tuple[str, str]:
    """Name the module and the function that load a card's network."""
    weights = card.weights
    home = weights.of if isinstance(weights, Untrained) else weights
    module, _, function = LOADERS[type(home)].partition(":")
    return module, function
