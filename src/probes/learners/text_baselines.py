"""Baselines for text: explanations of ICL that need no gradient.

They count the demonstrations' labels, weighted by the model's representations or not at
all. The counts divide the probability that the model gives to all labels without
demonstrations. All other tokens keep theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from probes.errors import DataError
from probes.learners.in_context import Base, ask_alone, reads_once, text_observation
from probes.observations.learner_cost import LearnerCost, PromptSizes
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.data.prompt_encoding import EncodedPrompts
    from probes.data.text_tasks import Example
    from probes.observations.request import LearnerContext

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LabelPrior:
    """Answer every query with the demonstrations' label frequencies.

    Attributes:
        smoothing: Added to every label's count; 1 is Laplace's rule.
    """

    smoothing: float = 1.0
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Count the labels of each set; queries are not read."""
        prompts = context.prompts()
        sets = zip(prompts.task.demonstrations, prompts.task.queries, strict=True)
        weights = [np.ones((len(queries), len(shown))) for shown, queries in sets]
        return by_weighted_labels(context, prompts, weights, self.smoothing)

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count the queries of one set, which all sets share."""
        return Base().cost(sizes)


@dataclass(frozen=True, kw_only=True)
class RepresentationNeighbours:
    """Answer with the labels of the demonstrations that are most like the query.

    A text's representation is the input of the last layer's self-attention at its last
    token. A demonstration's weight is exp(cosine / temperature).

    Attributes:
        temperature: A small one leaves the nearest neighbour; a large one gives the
            label prior.
        smoothing: Added to every label's weight. The weights of a query sum to the
            number of demonstrations.
    """

    temperature: float = 0.1
    smoothing: float = 0.1
    needs_model: bool = True
    model_needs: ClassVar[tuple[str, ...]] = ("attention",)

    def observe(self, context: LearnerContext) -> Observation:
        """Weight the demonstrations of each query by likeness, and count their labels.

        Raises:
            DataError: A prompt is too long.
            ModelError: The model's attention cannot be recorded.
        """
        prompts = context.prompts()
        weights = []
        for shown, queries in zip(
            prompts.task.demonstrations, prompts.task.queries, strict=True
        ):
            vectors = _represented(context, prompts, [*queries, *shown])
            cosines = vectors[: len(queries)] @ vectors[len(queries) :].T
            of_set = np.exp(
                (cosines - cosines.max(1, keepdims=True)) / self.temperature
            )
            weights.append(of_set / of_set.mean(axis=1, keepdims=True))
        return by_weighted_labels(context, prompts, weights, self.smoothing)

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count demonstrations and queries, each read alone."""
        return reads_once(sizes)


def _represented(
    context: LearnerContext, prompts: EncodedPrompts, examples: list[Example]
) -> Floats:
    """Give unit vectors, shape (n_examples, d_model)."""
    from probes.models.causal_lm.attention_hooks import AttentionRecorder

    with AttentionRecorder(context.model) as recorder:
        recorded = recorder.read(prompts.unbridged(examples))
    vectors = np.stack([r.inputs[-1, -1].double().numpy() for r in recorded])
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1.0))


def by_weighted_labels(
    context: LearnerContext,
    prompts: EncodedPrompts,
    weights: list[Floats],
    smoothing: float,
) -> Observation:
    """Divide the labels' probability by the weighted counts of their demonstrations.

    Args:
        context: The cell.
        prompts: Its prompts.
        weights: For each set those of demonstrations, (n_queries, n_demonstrations).
        smoothing: Added to every label's count.
    """
    _require_first_tokens(prompts)
    log_probs = ask_alone(context.model, prompts)["log_probs"].astype(np.float64)
    tokens = list(prompts.labels.first_tokens)
    for index, shown in enumerate(prompts.task.demonstrations):
        one_hot = np.eye(len(tokens))[[e.label for e in shown]]  # (n_shown, n_labels)
        shares = _shares(weights[index] @ one_hot, smoothing)
        mass = np.logaddexp.reduce(log_probs[index][:, tokens], axis=-1, keepdims=True)
        log_probs[index][:, tokens] = mass + np.log(shares)
    return text_observation(prompts, {"log_probs": log_probs.astype(np.float32)})


def _require_first_tokens(prompts: EncodedPrompts) -> None:
    """Refuse answers whose first tokens are not the labels.

    Raises:
        DataError: Whole answers are scored.
    """
    if prompts.labels.scores_whole:
        raise DataError(
            "The demonstrations' labels are counted by their first tokens, but here "
            "whole answers are scored. Expected a closed set of labels that begin with "
            "different tokens. Use another dataset, or other words under [verbalizer]."
        )


def _shares(counts: Any, smoothing: float) -> Floats:
    smoothed = np.asarray(counts, dtype=np.float64) + smoothing
    return np.asarray(smoothed / smoothed.sum(axis=-1, keepdims=True))
