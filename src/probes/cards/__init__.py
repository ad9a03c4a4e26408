"""Cards: what is known about models and datasets before anything is loaded.

``dataset_cards``: tasks and rows. ``weight_sources``: where weights come from.
``model_cards``: what a model is and can do.
"""

from __future__ import annotations

from probes.cards.dataset_cards import (
    CHANGES_OF_A_CLOSED_SET,
    NEEDING_CLOSED_LABELS,
    AnswerKind,
    DatasetCard,
    Family,
    GridSize,
    Inputs,
    LinearTasks,
    TextRows,
)
from probes.cards.model_cards import (
    Kind,
    ModelCard,
    Reference,
)
from probes.cards.weight_sources import (
    Checkpoint,
    Construction,
    Keeps,
    Learned,
    TrainedWeights,
    Untrained,
    Weights,
)

__all__ = [
    "CHANGES_OF_A_CLOSED_SET",
    "NEEDING_CLOSED_LABELS",
    "AnswerKind",
    "Checkpoint",
    "Construction",
    "DatasetCard",
    "Family",
    "GridSize",
    "Inputs",
    "Keeps",
    "Kind",
    "Learned",
    "LinearTasks",
    "ModelCard",
    "Reference",
    "TextRows",
    "TrainedWeights",
    "Untrained",
    "Weights",
]
