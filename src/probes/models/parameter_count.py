"""How many numbers a model has, counted without loading it and without torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from probes.cards import Checkpoint, Construction, ModelCard
from probes.models.files.safetensors_headers import count_parameters
from probes.models.regression.construction import construct

UNITS = ((10**9, " G"), (10**6, " M"), (10**3, " K"))


def n_parameters(card: ModelCard) -> int | None:
    """Count the numbers in a model's weights.

    An untrained model has as many as its original. In a construction every entry of
    every matrix counts, zeros included.

    Returns:
        The count; None if neither the card nor a local file states it.

    Raises:
        ModelError: A local file is unreadable.
    """
    if card.n_parameters is not None:
        return card.n_parameters
    source = card.architecture_source
    if isinstance(source, Construction):
        layers = construct(source).layers
        return sum(int(m.size) for layer in layers for m in asdict(layer).values())
    folder = Path(source.location)
    if isinstance(source, Checkpoint) and not folder.is_absolute():
        return None  # on the Hub
    return count_parameters(folder) or None


def describe_size(card: ModelCard) -> str:
    """Write a model's size for a list: ``1.84 M parameters``."""
    count = n_parameters(card)
    if count is None:
        return "size unknown"
    for unit, name in UNITS:
        if count >= unit:
            return f"{count / unit:.3g}{name} parameters"
    return f"{count} parameters"
