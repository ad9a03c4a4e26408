"""How weights are trained, apart from the rate and the number of passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a model is trained on demonstrations.

    Attributes:
        optimizer: "gd" (plain steps) or "adam".
        batch_size: Demonstrations in each step; None uses all of them.
        reshuffled: Draw a new order for each pass after the first.
        weights: "all", a sub-model such as "W_V@middle" (see
            ``weights.parameter_groups``), or "lora@all" (see ``training.lora``).
        loss: "label", the model's own loss on the label tokens, or "layerwise", one
            loss for each layer's output (see ``training.layerwise_loss``).
    """

    optimizer: Literal["gd", "adam"] = "gd"
    batch_size: int | None = None
    reshuffled: bool = False
    weights: str = "all"
    loss: Literal["label", "layerwise"] = "label"
