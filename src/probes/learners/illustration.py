"""The likeliest next tokens of ICL and another learner, in words; not a measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.data.token_words import token_word
from probes.learners.in_context import InContext
from probes.observations.learner_cost import LearnerCost, PromptSizes, TokenCount
from probes.observations.likeliest_tokens import likeliest
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import Learner, LearnerContext, Request

N_QUERIES = 2  # queries shown, the first of the first demonstration set
N_TOKENS = 10  # tokens named, the K of the token overlap of Shen et al. 2024
PROMPT_END = 400  # characters shown: the query and a demonstration or two


@dataclass(frozen=True, kw_only=True)
class Illustration:
    """Name the likeliest next tokens of ICL and of a learner, for a query or two.

    Its observation holds no arrays; ``facts`` has the ``example`` of a row, see
    ``results/row_shape.py``.

    Attributes:
        of: The learner that is shown with ICL.
    """

    of: Learner
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Ask both learners, and name their likeliest tokens."""
        icl, theirs = context.observe(InContext()), context.observe(self.of)
        prompts, tokenizer = context.prompts(), context.model.tokenizer
        task, firsts = prompts.task, prompts.labels.first_tokens
        demonstrations, queries = task.demonstrations[0], task.queries[0]
        examples = [
            {
                "prompt": task.in_context(demonstrations, query)[-PROMPT_END:],
                "answer": _words(tokenizer, [firsts[query.label]])[0],
                "icl": _likeliest(tokenizer, icl, index),
                "gd": _likeliest(tokenizer, theirs, index),
            }
            for index, query in enumerate(queries[:N_QUERIES])
        ]
        return Observation(arrays={}, facts={"example": examples})

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count no tokens: others have answered."""
        return LearnerCost(observation=TokenCount())

    def needed(self, request: Request) -> list[Request]:
        """List the two learners that are shown."""
        return [replace(request, learner=one) for one in (InContext(), self.of)]


def _likeliest(
    tokenizer: Any, answered: Observation, query: int
) -> list[tuple[str, float]]:
    first = answered.of_set(0)
    tokens, log_probs = likeliest(first, min(N_TOKENS, first.n_vocab))
    chances = [float(f"{p:.4g}") for p in np.exp(log_probs[0, query])]
    return list(zip(_words(tokenizer, tokens[0, query].tolist()), chances, strict=True))


def _words(tokenizer: Any, tokens: list[int]) -> list[str]:
    return [token_word(tokenizer, token) for token in tokens]
