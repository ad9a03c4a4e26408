"""Learning in context without an order: demonstrations are side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.learners.in_context import reads_once, text_observation
from probes.observations.learner_cost import LearnerCost, PromptSizes
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import LearnerContext


@dataclass(frozen=True, kw_only=True)
class PositionFree:
    """Answer each query after demonstrations that share positions, none seeing another.

    This is ICL without the order of its demonstrations: the answer is the same after
    every order, to rounding. The model was not trained to read this way.

    Reference:
        Ratner et al. 2022, arXiv:2212.10947, "parallel context windows", each window
        one demonstration.
    """

    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Run each set's demonstrations once, and its queries after them.

        Raises:
            DataError: A prompt is too long or the labels collide.
            ModelError: The model attends to fewer tokens than the prompt has.
            NumericsError: The model answers NaN or infinite logits.
        """
        from probes.models.causal_lm.parallel_context_windows import log_probs_after

        prompts = context.prompts().with_room_for_answers()
        answered = [
            log_probs_after(context.model, *prompts.side_by_side(index))
            for index in range(len(prompts.task.queries))
        ]
        return text_observation(prompts, np.stack(answered))

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count a set's demonstrations once for all its queries."""
        return reads_once(sizes)
