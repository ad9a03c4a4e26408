"""Untrained models: another model's architecture with random weights."""

from __future__ import annotations

from dataclasses import replace

from probes.cards import Checkpoint, Construction, Keeps, ModelCard, Untrained
from probes.errors import OptionError, ProbesError
from probes.models.architectures import described_architecture
from probes.models.files.fingerprint import local_folder
from probes.models.files.untrusted_config import read_json_object

UNTRAINED_PREFIXES: dict[Keeps, str] = {
    "nothing": "untrained",
    "embeddings_and_norms": "untrained_but_embeddings",
}
"""The part of an untrained model's name before the colon, by what it keeps."""


def untrained_model(
    model: ModelCard, *, keeps: Keeps = "nothing", seed: int = 0
) -> ModelCard:
    """Make the card of the same architecture with random weights.

    Args:
        model: The original. A model that is untrained in this way already is returned.
        keeps: Parts that stay as they were trained.
        seed: Seed of the random weights.

    Raises:
        OptionError: The model is constructed, so its weights are its architecture. Or
            it is untrained and has no trained parts to keep.
    """
    weights, prefix = model.weights, UNTRAINED_PREFIXES[keeps]
    if isinstance(weights, Construction):
        raise OptionError(
            f"{prefix}:{model.name} was asked for, but {model.name} is constructed. "
            f"Expected a model whose weights were trained. Name a spoiled copy instead."
        )
    if isinstance(weights, Untrained):
        if weights.keeps == keeps:
            return model
        if not weights.keeps_trained_parts:
            raise OptionError(
                f"{prefix}:{model.name} was asked for, but {model.name} is untrained. "
                f"Expected a model whose embeddings were trained. Name that model."
            )
    source = weights.of if isinstance(weights, Untrained) else weights
    exception = "" if keeps == "nothing" else ", except its embeddings and norms"
    original = trained_name(model.name)
    return replace(
        model,
        name=f"{prefix}:{original}",
        kind="untrained",
        summary=f"The architecture of {original} with random weights{exception}.",
        weights=Untrained(of=source, seed=seed, keeps=keeps),
    )


def embeddings_are_known(model: ModelCard) -> bool:
    """Say whether a text model has trained embeddings and norms that can be found.

    The architecture needs a description. The answer is no if the model's folder cannot
    be read; the model's own cells report that error.
    """
    weights = model.weights
    if isinstance(weights, Untrained):
        return weights.keeps_trained_parts
    if not isinstance(weights, Checkpoint):
        return False
    try:
        return described_architecture(model_type_of(weights)) is not None
    except (ProbesError, OSError):
        return False


def with_next_seed(model: ModelCard) -> ModelCard:
    """Make the card of the same untrained model with the next seed's weights."""
    weights = model.weights
    assert isinstance(weights, Untrained)
    return replace(model, weights=replace(weights, seed=weights.seed + 1))


def trained_name(name: str) -> str:
    """Strip the prefix that marks an untrained model from a model's name."""
    return name.rpartition(":")[2]


def model_type_of(checkpoint: Checkpoint) -> str:
    """Read ``model_type`` from a model's configuration; empty where it has none.

    Raises:
        ModelError: The model's folder or its configuration cannot be read.
    """
    model_type = read_json_object(local_folder(checkpoint) / "config.json").get(
        "model_type"
    )
    return model_type if isinstance(model_type, str) else ""
