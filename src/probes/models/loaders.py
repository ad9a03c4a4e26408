"""Which function loads a model, by the type of its weights. Imports no torch."""

from __future__ import annotations

from probes.cards import (
    Checkpoint,
    Construction,
    Learned,
    ModelCard,
)
from probes.models.files.packaged_checkpoint import PackagedCheckpoint

LOADERS = {
    Construction: "probes.models.regression.linear_attention:load_constructed",
    Learned: "probes.models.regression.checkpoints:load_learned",
    Checkpoint: "probes.models.causal_lm.loading:load_causal_lm",
    PackagedCheckpoint: "probes.models.causal_lm.loading:load_causal_lm",
}
"""Each is a function of a card and of the run's settings."""


def loader_path(card: ModelCard) -> tuple[str, str]:
    """Name the module and the function that load a card's model."""
    module, _, function = LOADERS[type(card.architecture_source)].partition(":")
    return module, function
