"""Statistics of a network's weights, and its answers when they carry noise."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from probes.cards import ModelCard
from probes.errors import OptionError
from probes.hashing import seed_of
from probes.learners.in_context import (
    ask_encoded,
    reads_whole,
    regression_observation,
    text_observation,
)
from probes.learners.whole_answers import stacked
from probes.observations.learner_cost import LearnerCost, PromptSizes, TokenCount
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import LearnerContext


@dataclass(frozen=True, kw_only=True)
class WeightStatistics:
    """Measure how sparse the attention matrices are; nothing learns or answers.

    The observation's arrays have the leading axes (n_layers, n_matrices), in the order
    of ``attention_weights``: ``shares`` with a last axis of thresholds, ``hoyer``,
    ``participation`` and ``sizes`` (root mean squares).
    """

    needs_model: bool = True
    model_needs: ClassVar[tuple[str, ...]] = ("attention matrices",)

    def observe(self, context: LearnerContext) -> Observation:
        """Read every matrix once.

        Raises:
            OptionError: The architecture has no separate W_Q, W_K, W_V and W_O.
        """
        from probes.models import attention_weights as m

        layers = list(m.attention_matrices(context.model))
        arrays = {
            name: np.array([[read(w).tolist() for w in layer] for layer in layers])
            for name, read in (
                ("shares", m.shares_below),
                ("hoyer", m.hoyer_sparsity),
                ("participation", m.participation),
                ("sizes", m.typical_size),
            )
        }
        facts = {
            "matrices": list(m.MATRICES),
            "thresholds": list(m.THRESHOLDS),
            "d_model": int(layers[0][0].shape[-1]),
        }
        return Observation(arrays=arrays, facts=facts)

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count no tokens: only weights are read."""
        return LearnerCost(observation=TokenCount())


@dataclass(frozen=True, kw_only=True)
class NoisyWeights:
    """Answer in context with noise on the weights, drawn anew for every set.

    Attributes:
        noise: Standard deviation of the Gaussian noise on every entry of a weight
            tensor, relative to the root mean square of the tensor's entries.
    """

    noise: float
    needs_model: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.noise < float("inf"):
            raise OptionError(
                f"The noise on the weights is {self.noise}. Expected a finite number "
                f">= 0, relative to their size. Correct noise=."
            )

    def observe(self, context: LearnerContext) -> Observation:
        """Add noise to the weights for each set, and ask its queries.

        Raises:
            DataError: A prompt is too long.
            NumericsError: The noisy model answers NaN or infinite logits.
        """
        if not context.request.model.answers_text:
            return self._on_regression(context)
        prompts, model = context.prompts().with_room_for_answers(), context.model
        answered = []
        for index in range(len(prompts.task.queries)):
            with model.tuned(self._noisy(model.model, context, index)):
                queries, encoded = (
                    prompts.task.queries[index],
                    prompts.in_context(index),
                )
                answered.append(ask_encoded(model, prompts, queries, encoded))
        return text_observation(prompts, stacked(answered))

    def _on_regression(self, context: LearnerContext) -> Observation:
        tasks = context.request.regression_task()
        answers = []
        for index in range(len(tasks.x)):
            one = slice(index, index + 1)
            model = copy.deepcopy(context.model)
            model.load_state_dict(self._noisy(model, context, index))
            single = replace(
                tasks,
                x=tasks.x[one],
                y=tasks.y[one],
                queries=tasks.queries[one],
                answers=tasks.answers[one],
            )
            answers.append(model.answer(single))
        predictions, sensitivities = map(np.concatenate, zip(*answers, strict=True))
        return regression_observation(tasks, predictions, sensitivities)

    def _noisy(
        self, module: Any, context: LearnerContext, index: int
    ) -> dict[str, Any]:
        import torch

        seed = seed_of("weight noise", context.request.settings.seed, index)
        generator = torch.Generator().manual_seed(seed)
        noisy = {}
        for name, weight in module.named_parameters():
            drawn = torch.randn(weight.shape, generator=generator).to(weight)
            size = weight.detach().float().square().mean().sqrt().to(weight)
            noisy[name] = weight.detach() + self.noise * size * drawn
        return noisy

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count whole prompts."""
        return reads_whole(sizes)


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Measure the distance of the weights from those of a model of the same shape.

    The observation has ``drift`` (1, 1): ‖Θ − Θ'‖ / ‖Θ'‖ over all weights.

    Attributes:
        since: The other model.
    """

    since: ModelCard
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Load both and compare them.

        Raises:
            ModelError: One cannot be loaded.
            OptionError: Their shapes differ.
        """
        ours = dict(context.model.model.named_parameters())
        other: Any = context.load(self.since)
        theirs = dict(other.model.named_parameters())
        if {n: p.shape for n, p in ours.items()} != {
            n: p.shape for n, p in theirs.items()
        }:
            raise OptionError(
                f"The weights of {context.request.model.name} and {self.since.name} "
                f"differ in names or shapes. Expected checkpoints of one training. "
                f"Correct the card's checkpoints=."
            )
        gaps = [float((p - theirs[n]).double().square().sum()) for n, p in ours.items()]
        sizes = [float(p.double().square().sum()) for p in theirs.values()]
        drift = (sum(gaps) / sum(sizes)) ** 0.5
        return Observation(arrays={"drift": np.array([[drift]])})

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count no tokens: only weights are read."""
        return LearnerCost(observation=TokenCount())
