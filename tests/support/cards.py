"""Cards of models and datasets that need no files, for tests of what holds cards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from probes.cards import Checkpoint, Construction, DatasetCard, ModelCard, TextRows

HOME = Checkpoint(location="/models/llama")
SPEC = Construction(algorithm="gd", n_inputs=4, n_layers=1, rate=0.1)


def model(name: str, **given: Any) -> ModelCard:
    """Describe a pretrained language model."""
    card = ModelCard(
        name=name, kind="pretrained", family="text", summary="", weights=HOME
    )
    return replace(card, **given)


def network(name: str, **given: Any) -> ModelCard:
    """Describe a constructed network of one layer."""
    card = model(name, kind="constructed", family="regression", weights=SPEC)
    return replace(card, language="linear_10", **{"n_layers": 1, **given})


def dataset(name: str, **given: Any) -> DatasetCard:
    """Describe rows of text."""
    rows = TextRows(location=name)
    return replace(
        DatasetCard(name=name, family="text", summary="", rows=rows), **given
    )
