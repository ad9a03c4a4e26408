"""How exactly a rank-one patch of weights stands in for the context, in every layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from probes.data.tokenization import verbalize
from probes.learners.encoded_prompts import Texts
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import LearnerContext


@dataclass(frozen=True, kw_only=True)
class RankOnePatch:
    """Patch the MLPs of the bare query with ΔW of its context.

    ``models.causal_lm.implicit_weight_update`` has the formula.

    The observation has ``patch_errors`` and ``context_effects``, norms of shape
    (n_sets, n_queries, n_layers).
    """

    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Run every query after its context, and each layer again without it.

        Raises:
            DataError: A prompt is too long or the labels collide.
            ModelError: The architecture cannot be patched.
        """
        from probes.models.causal_lm.implicit_weight_update import patch_errors

        task, model = context.text_task(), context.model
        texts = Texts(model, task, verbalize(model.tokenizer, task))
        found = []
        for index in range(len(task.queries)):
            alone, prompts = texts.queries(index), texts.queries_in_context(index)
            n_own = [
                texts.query_length(*both) for both in zip(alone, prompts, strict=True)
            ]
            found.append(patch_errors(model, prompts, n_own).numpy())
        norms = np.array(found)  # (n_sets, n_queries, n_layers, 2)
        return Observation(
            arrays={"patch_errors": norms[..., 0], "context_effects": norms[..., 1]}
        )
