"""Learning in context: demonstrations stand in the prompt, the weights are fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.data.regression_tasks import RegressionTask
from probes.data.text_tasks import Example, TextTask, group_by_set
from probes.data.tokenization import Verbalized, encode_checked, verbalize
from probes.observations.observation import Observation
from probes.observations.truncation import kept

if TYPE_CHECKING:
    from probes.models.causal_lm.causal_lm import CausalLM
    from probes.observations.request import LearnerContext


@dataclass(frozen=True, kw_only=True)
class InContext:
    """Answer each query after its demonstrations.

    Attributes:
        depth: Read the prediction after this many layers; None after the last. Only
            networks of linear self-attention can be read before it.
    """

    depth: int | None = None
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Run the demonstrations once for each set, then all its queries.

        Raises:
            DataError: A prompt is too long or the labels collide.
            NumericsError: The model answers NaN or infinite logits.
        """
        if context.request.model.family == "regression":
            tasks = context.request.regression_task()
            answers = context.model.answer(tasks, depth=self.depth)
            return regression_observation(tasks, *answers)
        task = context.text_task()
        labels = verbalize(context.model.tokenizer, task)
        prompts = [
            [(task.in_context(shown, q), q) for q in asked]
            for shown, asked in zip(task.demonstrations, task.queries, strict=True)
        ]
        encoded = [_encode(context.model, labels, of_set) for of_set in prompts]
        answered = context.model.log_probs_of_groups(encoded)
        return text_observation(task, labels, np.stack(answered))


@dataclass(frozen=True, kw_only=True)
class Base:
    """Answer each query alone: the model before it has learned anything."""

    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Run each distinct query once.

        Raises:
            DataError: A prompt is too long or the labels collide.
            NumericsError: The model answers NaN or infinite logits.
        """
        task = context.text_task()
        labels = verbalize(context.model.tokenizer, task)
        return text_observation(task, labels, ask_alone(context.model, task, labels))


def ask_alone(model: CausalLM, task: TextTask, labels: Verbalized) -> NDArray[Any]:
    """Ask every query with no demonstrations; shape (n_sets, n_queries, n_vocab)."""
    places = group_by_set(task.queries)
    found = _ask(model, labels, [(task.alone(q), q) for q in places])
    shape = (len(task.queries), len(task.queries[0]), found.shape[-1])
    answered = np.empty(shape, dtype=np.float32)
    for row, where in zip(found, places.values(), strict=True):
        for s, q in where:
            answered[s, q] = row
    return answered


def ask_set(
    model: CausalLM, task: TextTask, labels: Verbalized, queries: Sequence[Example]
) -> NDArray[Any]:
    """Ask the queries of one set with no demonstrations; shape (n_queries, n_vocab)."""
    return _ask(model, labels, [(task.alone(q), q) for q in queries])


def ask_stack(
    model: CausalLM,
    task: TextTask,
    labels: Verbalized,
    weights: Mapping[str, Any],
    sets: Sequence[int],
) -> NDArray[Any]:
    """Ask with no demonstrations, under weights of its own for each set.

    Args:
        model: The model.
        task: Whose queries are asked.
        labels: The task's labels in tokens.
        weights: By name, stacked, a member for each of the sets.
        sets: Which sets.

    Returns:
        Shape (len(sets), n_queries, n_vocab).
    """
    queries = [task.queries[index] for index in sets]
    if all(asked == queries[0] for asked in queries):
        prompts = _encode(model, labels, [(task.alone(q), q) for q in queries[0]])
        return model.log_probs_of_stack(weights, prompts)
    answered = []
    for place, asked in enumerate(queries):
        with model.tuned({name: w[place] for name, w in weights.items()}):
            answered.append(ask_set(model, task, labels, asked))
    return np.stack(answered)


def _ask(
    model: CausalLM, labels: Verbalized, prompts: list[tuple[str, Example]]
) -> NDArray[Any]:
    return model.next_token_log_probs(_encode(model, labels, prompts))


def _encode(
    model: CausalLM, labels: Verbalized, prompts: list[tuple[str, Example]]
) -> list[list[int]]:
    encoded = encode_checked(
        model.tokenizer,
        [(text, query.where) for text, query in prompts],
        context=model.context,
        room=len(labels.bridge),
    )
    return [[*tokens, *labels.bridge] for tokens in encoded]


def text_observation(
    task: TextTask, labels: Verbalized, log_probs: NDArray[Any], **facts: Any
) -> Observation:
    """Put log-probabilities (n_sets, n_queries, n_vocab) beside the right labels.

    Of a large vocabulary only what measures need is kept (see ``vocabulary``).
    """
    gold = [[query.label for query in asked] for asked in task.queries]
    answers = kept(log_probs, labels.first_tokens)
    if "log_probs" not in answers:
        facts = {"n_vocab": log_probs.shape[-1], **facts}
    return Observation(
        arrays={**answers, "gold": np.array(gold, dtype=np.int64)},
        facts={"label_tokens": labels.first_tokens, **facts},
    )


def regression_observation(
    task: RegressionTask, predictions: Any, sensitivities: Any, **facts: Any
) -> Observation:
    """Put predictions and their gradients beside queries and the teacher's answers."""
    crossed = (task.queries == task.queries[:1]).all()
    return Observation(
        arrays={
            "predictions": predictions,
            "sensitivities": sensitivities,
            "answers": task.answers,
            "queries": task.queries[:1] if crossed else task.queries,
        },
        facts=facts,
    )
