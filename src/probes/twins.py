"""Untrained twins: the same architecture with random weights, by name and by card."""

from __future__ import annotations

from dataclasses import replace

from probes.errors import OptionError
from probes.tasks import Construction, Keeps, ModelCard, Untrained

TWINS: dict[Keeps, str] = {
    "nothing": "untrained",
    "embeddings_and_norms": "untrained_but_embeddings",
}
"""What stands before the colon in a twin's name, by what it keeps."""


def untrained_twin(
    model: ModelCard, *, keeps: Keeps = "nothing", seed: int = 0
) -> ModelCard:
    """Give the card of the same architecture with random weights.

    Args:
        model: What the twin is of; a twin that keeps as much is its own.
        keeps: What is left as it was trained.
        seed: Seed of the random weights.

    Raises:
        OptionError: The model is constructed; its weights are its architecture. Or it
            has no trained weights that could be kept.
    """
    weights, prefix = model.weights, TWINS[keeps]
    if isinstance(weights, Construction):
        raise OptionError(
            f"{prefix}:{model.name} was asked for, but {model.name} is constructed. "
            f"Expected a model whose weights were trained. Name a spoiled copy instead."
        )
    if isinstance(weights, Untrained):
        if weights.keeps == keeps:
            return model
        if weights.keeps == "nothing":
            raise OptionError(
                f"{prefix}:{model.name} was asked for, but {model.name} is untrained. "
                f"Expected a model whose embeddings were trained. Name that model."
            )
    source = weights.of if isinstance(weights, Untrained) else weights
    but = "" if keeps == "nothing" else ", but for its embeddings and norms"
    original = trained_name(model.name)
    return replace(
        model,
        name=f"{prefix}:{original}",
        kind="untrained",
        summary=f"The architecture of {original} with random weights{but}.",
        weights=Untrained(of=source, seed=seed, keeps=keeps),
    )


def trained_name(name: str) -> str:
    """Strip from a twin's name what says that it is one."""
    return name.rpartition(":")[2]
