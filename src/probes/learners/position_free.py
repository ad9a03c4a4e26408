"""Learning in context without an order: demonstrations stand side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from probes.data.tokenization import verbalize
from probes.learners.encoded_prompts import Texts
from probes.learners.in_context import text_observation
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import LearnerContext


@dataclass(frozen=True, kw_only=True)
class PositionFree:
    """Answer each query after demonstrations at one place that do not see each other.

    What is left of ICL when the order of its demonstrations is taken away: the answer
    is the same after every order, to rounding. The model was not trained to read so.

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

        task, model = context.text_task(), context.model
        labels = verbalize(model.tokenizer, task)
        texts = Texts(model, task, labels)
        answered = [
            log_probs_after(model, *texts.side_by_side(index))
            for index in range(len(task.queries))
        ]
        return text_observation(task, labels, np.stack(answered))
