"""Learning in context without an order: demonstrations are side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from probes.learners.in_context import reads_once, text_observation
from probes.learners.whole_answers import (
    Answers,
    ask_whole,
    stacked,
    token_by_token,
)
from probes.observations.learner_cost import LearnerCost, PromptSizes
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.data.prompt_encoding import EncodedPrompts
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
    model_needs: ClassVar[tuple[str, ...]] = ("positions",)

    def observe(self, context: LearnerContext) -> Observation:
        """Run each set's demonstrations once, and its queries after them.

        Raises:
            DataError: A prompt is too long.
            ModelError: The model attends to fewer tokens than the prompt has, or does
                not go by given positions.
            NumericsError: The model answers NaN or infinite logits.
        """
        from probes.models.causal_lm.parallel_context_windows import (
            require_given_positions,
        )

        require_given_positions(context.model)
        prompts = context.prompts().with_room_for_answers()
        answered = [
            _ask_side_by_side(context.model, prompts, index)
            for index in range(len(prompts.task.queries))
        ]
        return text_observation(prompts, stacked(answered))

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count a set's demonstrations once for all its queries."""
        return reads_once(sizes)


def _ask_side_by_side(model: Any, prompts: EncodedPrompts, index: int) -> Answers:
    """Ask a set's queries after its demonstrations, which are side by side."""
    from probes.models.causal_lm.parallel_context_windows import log_probs_after

    head, windows, queries = prompts.side_by_side(index)
    return ask_whole(
        prompts,
        prompts.task.queries[index],
        queries,
        token_by_token(lambda p, _: log_probs_after(model, head, windows, p)),
    )
