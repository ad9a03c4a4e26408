"""Learners that vote for labels: what could explain ICL without any gradient.

They know of the model its representations, or nothing: the labels share what the model
gives them without demonstrations, all other tokens keep it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.data.tokenization import encode_checked, verbalize
from probes.learners.in_context import ask_alone, text_observation
from probes.observations.observation import Observation

if TYPE_CHECKING:
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
        task = context.text_task()
        pairs = zip(task.demonstrations, task.queries, strict=True)
        alike = [np.ones((len(asked), len(shown))) for shown, asked in pairs]
        return _voted(context, alike, self.smoothing)


@dataclass(frozen=True, kw_only=True)
class RepresentationNeighbours:
    """Let demonstrations vote for their labels by their likeness to the query.

    Representations are what enters the last layer's self-attention at the last token of
    each text alone; a vote's weight is exp(cosine / temperature).

    Attributes:
        temperature: Small is the nearest neighbour alone; large is the label prior.
        smoothing: Added to every label's votes, which sum to the demonstrations' count.
    """

    temperature: float = 0.1
    smoothing: float = 0.1
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Represent demonstrations and queries, each alone, and vote.

        Raises:
            DataError: A prompt is too long.
            ModelError: The model's attention cannot be recorded.
        """
        task = context.text_task()
        alike = []
        for shown, asked in zip(task.demonstrations, task.queries, strict=True):
            ours = _represented(context, [*asked, *shown])
            cosines = ours[: len(asked)] @ ours[len(asked) :].T
            weights = np.exp(
                (cosines - cosines.max(1, keepdims=True)) / self.temperature
            )
            alike.append(weights / weights.mean(axis=1, keepdims=True))
        return _voted(context, alike, self.smoothing)


def _represented(context: LearnerContext, examples: list[Example]) -> Floats:
    """Give unit vectors, shape (n_examples, d_model)."""
    from probes.models.causal_lm.attention_hooks import AttentionRecorder

    task, model = context.text_task(), context.model
    encoded = encode_checked(
        model.tokenizer,
        [(task.alone(e), e.where) for e in examples],
        context=model.context,
        room=0,
    )
    with AttentionRecorder(model) as recorder:
        read = recorder.read(encoded)
    found = np.stack([r.inputs[-1, -1].double().numpy() for r in read])
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(norms > 0, norms, 1.0))


def _voted(
    context: LearnerContext, alike: list[Floats], smoothing: float
) -> Observation:
    """Divide the labels' mass by votes; ``alike`` is (n_queries, n_shown) a set."""
    task, model = context.text_task(), context.model
    labels = verbalize(model.tokenizer, task)
    log_probs = ask_alone(model, task, labels).astype(np.float64)
    tokens = list(labels.first_tokens)
    for index, shown in enumerate(task.demonstrations):
        cast = np.eye(len(tokens))[[e.label for e in shown]]  # (n_shown, n_labels)
        shares = _shares(alike[index] @ cast, smoothing)
        mass = np.logaddexp.reduce(log_probs[index][:, tokens], axis=-1, keepdims=True)
        log_probs[index][:, tokens] = mass + np.log(shares)
    return text_observation(task, labels, log_probs.astype(np.float32))


def _shares(votes: Any, smoothing: float) -> Floats:
    smoothed = np.asarray(votes, dtype=np.float64) + smoothing
    return np.asarray(smoothed / smoothed.sum(axis=-1, keepdims=True))
