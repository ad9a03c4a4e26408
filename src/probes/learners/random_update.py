"""Random updates of the weights, as large as those of a gradient learner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from probes.learners.gradient import GradientLearner
from probes.learners.in_context import ask_set, reads_queries, text_observation
from probes.learners.training_trials import training_seed
from probes.learners.whole_answers import stacked
from probes.observations.learner_cost import LearnerCost, PromptSizes
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import LearnerContext, Request


@dataclass(frozen=True, kw_only=True)
class RandomUpdate:
    """Move the weights in a random direction as far as a gradient learner moved them.

    Attributes:
        matched_to: The gradient learner. Each tensor's update has the same norm.
    """

    matched_to: GradientLearner
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Add one seeded Gaussian update for each set, and ask its queries."""
        prompts, model = context.prompts(), context.model
        answered = []
        for queries, weights in zip(
            prompts.task.queries, self.trained_weights(context, {}), strict=True
        ):
            with model.tuned(weights):
                answered.append(ask_set(model, prompts, queries))
        return text_observation(prompts, stacked(answered))

    def trained_weights(
        self, context: LearnerContext, facts: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Draw the updates again; see :class:`MovesWeights`."""
        norms = context.observe(self.matched_to)["update_norms"]
        prompts = context.prompts()
        demonstrations = prompts.task.demonstrations
        training = self.matched_to.prepare(context, prompts, demonstrations)
        for index in range(len(demonstrations)):
            seed = training_seed(context, index)
            yield training.moved_randomly(norms[index].tolist(), seed)

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count the queries; the learner that it is matched to is counted apart."""
        return reads_queries(sizes)

    def needed(self, request: Request) -> list[Request]:
        """List the learner that it is matched to."""
        return [replace(request, learner=self.matched_to)]
