"""Answers to queries with the weights that training has reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.learners.in_context import ask_stack, text_observation
from probes.learners.whole_answers import Answers, concatenated
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.models.training.trainer import Trainer
    from probes.observations.request import LearnerContext


class AnswersOfWeights:
    """Asks every set's queries with the set's weights (a ``WeightsReader``).

    Args:
        context: A request to gradient descent.
        training: The training.
    """

    def __init__(self, context: LearnerContext, training: Trainer) -> None:
        self.context, self.training = context, training
        self.prompts = context.prompts()

    def read(self, weights: Mapping[str, Any], sets: Sequence[int]) -> list[Answers]:
        """Answer the queries of some sets, and measure how far each tensor moved."""
        answers = ask_stack(self.context.model, self.prompts, weights, sets)
        found: list[Answers] = []
        for place in range(len(sets)):
            own = {name: stacked[place] for name, stacked in weights.items()}
            norms = np.array([self.training.update_norms(own)])
            parts = {name: array[place : place + 1] for name, array in answers.items()}
            found.append({**parts, "update_norms": norms})
        return found

    def observation(
        self, of_sets: Sequence[Answers], chosen: Mapping[str, Any]
    ) -> Observation:
        """Put the answers together; ``update_norms`` has shape (n_sets, n_tensors)."""
        answers = dict(concatenated(of_sets))
        norms = answers.pop("update_norms")
        found = text_observation(self.prompts, answers, **chosen)
        return replace(found, arrays={**found.arrays, "update_norms": norms})
