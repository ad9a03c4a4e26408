"""How large a model is, told without loading it and without torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from probes.cards import Checkpoint, Construction, ModelCard, Untrained
from probes.models.files.safetensors_headers import count_parameters
from probes.models.regression.construction import construct

BILLION, MILLION, THOUSAND = 10**9, 10**6, 10**3


def n_parameters(card: ModelCard) -> int | None:
    """Count the numbers in a model's weights.

    An untrained twin has as many as what it is of. Of a construction, every entry of
    every matrix counts, also the zeros.

    Returns:
        The count; None where neither the card nor a local file tells it.

    Raises:
        ModelError: A local file is unreadable.
    """
    if card.n_parameters is not None:
        return card.n_parameters
    weights = card.weights
    source = weights.of if isinstance(weights, Untrained) else weights
    if isinstance(source, Construction):
        layers = construct(source).layers
        return sum(int(m.size) for layer in layers for m in asdict(layer).values())
    folder = Path(source.location)
    if isinstance(source, Checkpoint) and not folder.is_absolute():
        return None  # on the Hub
    return count_parameters(folder) or None


def told_size(card: ModelCard) -> str:
    """Write a model's size for a list: ``1.84 M parameters``."""
    found = n_parameters(card)
    if found is None:
        return "size unknown"
    for unit, name in ((BILLION, " G"), (MILLION, " M"), (THOUSAND, " K")):
        if found >= unit:
            return f"{found / unit:.3g}{name} parameters"
    return f"{found} parameters"
