"""Untrained twins: the same architecture with random weights, by name and by card."""

from __future__ import annotations

from dataclasses import replace

from probes.cards import Checkpoint, Construction, Keeps, ModelCard, Untrained
from probes.errors import OptionError, ProbesError
from probes.models.files.fingerprint import resolve
from probes.models.files.untrusted_config import json_of

TWINS: dict[Keeps, str] = {
    "nothing": "untrained",
    "embeddings_and_norms": "untrained_but_embeddings",
}
"""What stands before the colon in a twin's name, by what it keeps."""


KNOWN_PARTS = (
    "gemma",
    "gpt2",
    "gpt_neox",
    "gptj",
    "llama",
    "mistral",
    "olmo2",
    "opt",
    "phi3",
    "qwen2",
    "qwen3",
)
"""Values of ``model_type`` for which a test counts, by shapes, what is kept of each."""


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


def parts_are_known(model: ModelCard) -> bool:
    """Say whether a text model's embeddings and norms are trained, and which they are.

    Where its folder cannot be read they are not; its own cells report that, in words.
    """
    weights = model.weights
    if isinstance(weights, Untrained):
        return weights.keeps == "embeddings_and_norms"
    try:
        return (
            isinstance(weights, Checkpoint) and architecture_of(weights) in KNOWN_PARTS
        )
    except (ProbesError, OSError):
        return False


def redrawn(twin: ModelCard) -> ModelCard:
    """Give the card of the same untrained network, its random weights drawn anew."""
    weights = twin.weights
    assert isinstance(weights, Untrained)
    return replace(twin, weights=replace(weights, seed=weights.seed + 1))


def trained_name(name: str) -> str:
    """Strip from a twin's name what says that it is one."""
    return name.rpartition(":")[2]


def architecture_of(checkpoint: Checkpoint) -> str:
    """Read the ``model_type`` of a model's configuration; empty where it has none.

    Raises:
        ModelError: The model's folder or its configuration cannot be read.
    """
    found = json_of(resolve(checkpoint) / "config.json").get("model_type")
    return found if isinstance(found, str) else ""
