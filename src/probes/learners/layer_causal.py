"""Layer-causal GD: each layer learns from its own output's loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from probes.errors import NumericsError
from probes.learners.gradient import GradientLearner
from probes.learners.in_context import ask_set, text_observation
from probes.learners.training_trials import calibration_losses
from probes.learners.whole_answers import stacked
from probes.models.training.settings import TrainingSettings
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import Learner, LearnerContext


@dataclass(frozen=True, kw_only=True)
class LayerCausal(GradientLearner):
    """Train each layer by its own output's loss (see ``layerwise_loss``)."""

    @property
    def choice(self) -> Learner:
        """The learner that chooses rate and passes on calibration queries."""
        return LayerSelection(of=self)

    @property
    def training(self) -> TrainingSettings:
        """The settings of training other than rate and passes."""
        return replace(super().training, loss="layerwise")

    def observe(self, context: LearnerContext) -> Observation:
        """Train each demonstration set at the chosen rate, and ask its queries.

        Raises:
            NumericsError: Every rate diverges, or the update vanishes in rounding.
        """
        chosen = context.choose(self.choice)
        prompts, model = context.prompts(), context.model
        answered = []
        for queries, weights in zip(
            prompts.task.queries, self.trained_weights(context, chosen), strict=True
        ):
            with model.tuned(weights):
                answered.append(ask_set(model, prompts, queries))
        return text_observation(prompts, stacked(answered), **chosen)


@dataclass(frozen=True, kw_only=True)
class LayerSelection:
    """Choose rate and passes by the whole model's label loss on calibration queries."""

    of: LayerCausal
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Train the first sets at every rate, and read the loss after some passes.

        Raises:
            NumericsError: No rate gives a finite loss.
        """
        prompts = context.prompts()
        training = self.of.prepare(context, prompts, prompts.task.demonstrations)
        losses, _ = calibration_losses(
            context, prompts, training, rates=self.of.rates, passes=self.of.passes
        )
        if not np.isfinite(losses).any():
            raise NumericsError(
                f"No learning rate of {self.of.rates} trains the layers of "
                f"{context.request.model.name}. Expected one that does not diverge. "
                f"Lower rates=."
            )
        r, p = divmod(int(np.argmin(losses)), losses.shape[1])
        facts = {"rate": self.of.rates[r], "passes": self.of.passes[p]}
        return Observation(arrays={}, facts=facts)
