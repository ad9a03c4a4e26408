"""Layer-causal GD: each layer learns from its own output's loss."""

from __future__ import annotations

from dataclasses import dataclass, replace

from probes.learners.gradient import GradientLearner
from probes.models.training.settings import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class LayerCausal(GradientLearner):
    """Train each layer by its own output's loss (see ``layerwise_loss``)."""

    @property
    def model_needs(self) -> tuple[str, ...]:
        """What the architecture must have (see ``models.capabilities``)."""
        return (*super().model_needs, "layers")

    @property
    def training(self) -> TrainingSettings:
        """The settings of training other than rate and passes."""
        return replace(super().training, loss="layerwise")
