"""How exactly a rank-one patch of weights replaces the context, in every layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from probes.learners.in_context import reads_whole
from probes.observations.learner_cost import LearnerCost, PromptSizes
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
    model_needs: ClassVar[tuple[str, ...]] = ("context patch",)

    def observe(self, context: LearnerContext) -> Observation:
        """Run every query after its context, and each layer again without it.

        Raises:
            DataError: A prompt is too long.
            ModelError: The architecture cannot be patched.
        """
        from probes.models.causal_lm.implicit_weight_update import patch_errors

        prompts = context.prompts().with_room_for_answers()
        of_sets = []
        for index, queries in enumerate(prompts.task.queries):
            encoded = prompts.in_context(index)
            pairs = zip(prompts.alone(queries), encoded, strict=True)
            lengths = [prompts.query_length(*pair) for pair in pairs]
            of_sets.append(patch_errors(context.model, encoded, lengths).numpy())
        norms = np.array(of_sets)  # (n_sets, n_queries, n_layers, 2)
        return Observation(
            arrays={"patch_errors": norms[..., 0], "context_effects": norms[..., 1]}
        )

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count whole prompts, and every layer again without the context."""
        return reads_whole(sizes, times=2)


@dataclass(frozen=True, kw_only=True)
class RankOnePatches:
    """Patch all layers of the bare query's network at once, each for its context.

    ``models.causal_lm.all_layers_patch`` has the formula.

    The observation has ``patch_errors`` and ``context_effects``, norms of shape
    (n_sets, n_queries, n_layers + 1): after each layer, and in the logits.
    """

    needs_model: bool = True
    model_needs: ClassVar[tuple[str, ...]] = ("all-layers patch",)

    def observe(self, context: LearnerContext) -> Observation:
        """Run every query after its context, alone, and alone with changed weights.

        Raises:
            DataError: A prompt is too long.
            ModelError: The architecture cannot be patched.
        """
        from probes.models.causal_lm.all_layers_patch import all_layers_patch_errors

        prompts = context.prompts().with_room_for_answers()
        of_sets = []
        for index, queries in enumerate(prompts.task.queries):
            pairs = zip(prompts.in_context(index), prompts.alone(queries), strict=True)
            found = all_layers_patch_errors(context.model, list(pairs))
            of_sets.append(found.numpy())
        norms = np.array(of_sets)  # (n_sets, n_queries, n_layers + 1, 2)
        return Observation(
            arrays={"patch_errors": norms[..., 0], "context_effects": norms[..., 1]}
        )

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count whole prompts twice: the query alone is short, and read three times."""
        return reads_whole(sizes, times=2)
