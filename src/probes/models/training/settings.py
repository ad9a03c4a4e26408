"""What decides how weights move, apart from the rate and the number of passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a model is trained on demonstrations.

    Attributes:
        optimizer: "gd" (plain steps) or "adam".
        batch_size: Demonstrations a step; None is the full batch.
        reshuffled: Draw a new order for each pass after the first.
        weights: "all", or a sub-model such as "W_V@middle" (see
            ``weights.parameter_groups``) or "lora@all" (see ``training.lora``).
    """

    optimizer: Literal["gd", "adam"] = "gd"
    batch_size: int | None = None
    reshuffled: bool = False
    weights: str = "all"
