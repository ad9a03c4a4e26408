"""Layer-causal GD: each layer learns from its own output's loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from probes.learners.gradient import GradientLearner
from probes.learners.in_context import ask_set, text_observation
from probes.learners.whole_answers import stacked
from probes.models.training.settings import TrainingSettings
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import LearnerContext


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

    def observe(self, context: LearnerContext) -> Observation:
        """Train each demonstration set at the chosen rate, and ask its queries.

        Raises:
            NumericsError: Every rate diverges, or the update vanishes in rounding.
        """
        chosen = self.settings_in(context)
        prompts, model = context.prompts(), context.model
        answered = []
        for queries, weights in zip(
            prompts.task.queries, self.trained_weights(context, chosen), strict=True
        ):
            with model.tuned(weights):
                answered.append(ask_set(model, prompts, queries))
        return text_observation(prompts, stacked(answered), **chosen)
