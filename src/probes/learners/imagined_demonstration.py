"""Predictions before and after a demonstration whose answer the learner draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from probes.errors import DataError
from probes.hashing import seed_of
from probes.learners.in_context import ask_encoded, text_observation
from probes.learners.whole_answers import stacked
from probes.measurement import Array
from probes.observations.learner_cost import LearnerCost, PromptSizes, TokenCount
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.data.prompt_encoding import EncodedPrompts
    from probes.data.text_tasks import TextTask
    from probes.observations.request import LearnerContext

LEAST_DRAWS = 2
"""The martingale gap multiplies the changes of two halves of the draws."""


class AnswersPrompts(Protocol):
    """What predicts the answers to prompts in place of the model."""

    def answer_prompts(self, model: Any, prompts: EncodedPrompts) -> Observation:
        """Answer every query after its demonstrations."""


@dataclass(frozen=True, kw_only=True)
class ImaginedDemonstration:
    """Predict each query without the last demonstration, and with its answer drawn.

    The answer of the last demonstration is drawn from the learner's own prediction for
    it, among the labels. The observation's arrays hold probabilities of the labels:

    - ``before`` (n_sets, n_queries, n_labels): after all demonstrations but the last.
    - ``after`` (n_sets, n_queries, draws, n_labels): after that one too, for each of
      the answers that were drawn.

    Attributes:
        reader: What predicts; None is the model itself, in context.
        draws: Answers drawn for each set, an even number.

    Reference:
        Falck et al. 2024, arXiv:2406.00793.
    """

    reader: AnswersPrompts | None = None
    draws: int = 2 * LEAST_DRAWS
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Ask the queries and the last demonstration, then the queries once a draw.

        Raises:
            DataError: The answers are open, or a set has fewer than two demonstrations.
        """
        prompts = context.prompts()
        task = _require_labels(prompts.task)
        model, n_queries = context.model, len(task.queries[0])
        known = self._labels_after(model, replace(prompts, task=_without_last(task)))
        before, own = known[:, :n_queries], known[:, n_queries]
        settings = context.request.settings
        rng = np.random.default_rng(seed_of("imagined", settings.seed))
        drawn = np.array([rng.choice(len(p), size=self.draws, p=p) for p in own])
        after = self._labels_after(
            model, replace(prompts, task=_with_last_as(task, drawn))
        )
        shape = (len(drawn), self.draws, n_queries, -1)
        return Observation(
            arrays={"before": before, "after": after.reshape(shape).swapaxes(1, 2)}
        )

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count a set's demonstrations once for each draw and once before."""
        times = self.draws + 1
        read = times * (sizes.all_demonstrations + sizes.all_queries)
        answered = times * sizes.n_sets * sizes.n_queries
        return LearnerCost(observation=TokenCount(read=read, answered=answered))

    def _labels_after(self, model: Any, prompts: EncodedPrompts) -> Array:
        """Predict labels, shape (n_sets, n_queries, n_labels); they sum to 1."""
        if self.reader is not None:
            answered = self.reader.answer_prompts(model, prompts)
        else:
            asked = enumerate(prompts.task.queries)
            answers = [
                ask_encoded(model, prompts, queries, prompts.in_context(index))
                for index, queries in asked
            ]
            answered = text_observation(prompts, stacked(answers))
        chances = np.exp(answered.label_log_probs)
        return np.asarray(chances / chances.sum(axis=-1, keepdims=True))


def _require_labels(task: TextTask) -> TextTask:
    if task.is_open or min(map(len, task.demonstrations)) < LEAST_DRAWS:
        raise DataError(
            f"An answer was to be imagined for the last of "
            f"{len(task.demonstrations[0])} demonstrations. Expected a closed set of "
            f"labels and at least 2 demonstrations. Use a dataset with labels, and "
            f"--demos 2 or more."
        )
    return task


def _without_last(task: TextTask) -> TextTask:
    """Take the last demonstration of each set as a further query."""
    pairs = zip(task.queries, task.demonstrations, strict=True)
    return replace(
        task,
        demonstrations=tuple(shown[:-1] for shown in task.demonstrations),
        queries=tuple((*queries, shown[-1]) for queries, shown in pairs),
    )


def _with_last_as(task: TextTask, drawn: Any) -> TextTask:
    """Make a set for each draw, in which the last demonstration has that label."""
    shown = tuple(
        (*own[:-1], replace(own[-1], label=label, answer=task.answers[label]))
        for own, labels in zip(task.demonstrations, drawn.tolist(), strict=True)
        for label in labels
    )
    asked = tuple(queries for queries in task.queries for _ in range(drawn.shape[1]))
    return replace(task, demonstrations=shown, queries=asked)
