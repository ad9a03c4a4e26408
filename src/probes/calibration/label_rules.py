"""Rules that answer from the demonstrations' answers alone, without the query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from probes.learners.in_context import regression_observation
from probes.learners.text_baselines import by_weighted_labels

if TYPE_CHECKING:
    from probes.observations.observation import Observation
    from probes.observations.request import LearnerContext

DOUBT = 0.01
"""Added to every label's weight, so that no label has the probability 0. The weights of
the rule's own label sum to the number of demonstrations."""


@dataclass(frozen=True, kw_only=True)
class MajorityLabel:
    """Answer every query with the label that most demonstrations have.

    Of labels that are equally frequent, the first in the data set's list counts.
    """

    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Count the labels of each set; queries are not read.

        Raises:
            DataError: Whole answers are scored.
        """
        prompts, weights = context.prompts(), []
        for shown, queries in zip(
            prompts.task.demonstrations, prompts.task.queries, strict=True
        ):
            labels = np.array([example.label for example in shown])
            is_majority = labels == np.bincount(labels).argmax()
            of_each = is_majority * (len(shown) / is_majority.sum())
            weights.append(np.tile(of_each, (len(queries), 1)))
        return by_weighted_labels(context, prompts, weights, DOUBT)


@dataclass(frozen=True, kw_only=True)
class LastAnswer:
    """Answer every query as the last demonstration of the prompt is answered."""

    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Copy the last label of each set, or the last number of each task.

        A task without demonstrations is answered with 0, as regression algorithms do.

        Raises:
            DataError: Whole answers are scored.
        """
        if not context.request.model.answers_text:
            task = context.request.regression_task()
            copied = np.zeros(task.queries.shape[:2])
            if task.y.shape[1]:
                copied += task.y[:, -1:]
            return regression_observation(task, copied, np.zeros_like(task.queries))
        prompts, weights = context.prompts(), []
        for shown, queries in zip(
            prompts.task.demonstrations, prompts.task.queries, strict=True
        ):
            of_each = np.zeros(len(shown))
            of_each[-1] = len(shown)
            weights.append(np.tile(of_each, (len(queries), 1)))
        return by_weighted_labels(context, prompts, weights, DOUBT)
