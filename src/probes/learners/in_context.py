"""Learning in context: the prompt holds the demonstrations, the weights are fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.data.regression_tasks import RegressionTask
from probes.data.text_tasks import places_of
from probes.observations.learner_cost import LearnerCost, PromptSizes, TokenCount
from probes.observations.observation import Observation
from probes.observations.truncation import truncated

if TYPE_CHECKING:
    from probes.data.prompt_encoding import EncodedPrompts
    from probes.data.text_tasks import Example
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
        if context.request.model.answers_text:
            return _after_text(context)
        tasks = context.request.regression_task()
        answers = context.model.answer(tasks, depth=self.depth)
        return regression_observation(tasks, *answers)

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count a set's demonstrations once for all its queries."""
        return reads_once(sizes)


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
        prompts = context.prompts()
        return text_observation(prompts, ask_alone(context.model, prompts))

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count the queries of one set, which all sets share."""
        read = sizes.n_queries * sizes.query_tokens
        return LearnerCost(observation=TokenCount(read=read, answered=sizes.n_queries))


def reads_once(sizes: PromptSizes) -> LearnerCost:
    """Count a set's demonstrations once and each of its queries."""
    read = sizes.all_demonstrations + sizes.all_queries
    answered = sizes.n_sets * sizes.n_queries
    return LearnerCost(observation=TokenCount(read=read, answered=answered))


def reads_whole(sizes: PromptSizes, *, times: int = 1) -> LearnerCost:
    """Count a set's demonstrations again for each of its queries."""
    prompt = sizes.demonstration_tokens + sizes.query_tokens
    answered = times * sizes.n_sets * sizes.n_queries
    return LearnerCost(
        observation=TokenCount(read=answered * prompt, answered=answered)
    )


def reads_queries(sizes: PromptSizes, *, times: int = 1) -> LearnerCost:
    """Count each set's queries alone."""
    work = TokenCount(
        read=times * sizes.all_queries, answered=times * sizes.n_sets * sizes.n_queries
    )
    return LearnerCost(observation=work)


def _after_text(context: LearnerContext) -> Observation:
    """Answer every query after its demonstrations, in words."""
    prompts = context.prompts()
    n_sets = len(prompts.task.queries)
    encoded = [prompts.in_context(index) for index in range(n_sets)]
    answered = context.model.log_probs_of_groups(encoded)
    return text_observation(prompts, np.stack(answered))


def ask_alone(model: CausalLM, prompts: EncodedPrompts) -> NDArray[Any]:
    """Ask every query without demonstrations; shape (n_sets, n_queries, n_vocab)."""
    queries = prompts.task.queries
    places = places_of(queries)
    rows = ask_set(model, prompts, list(places))
    answered = np.empty((len(queries), len(queries[0]), rows.shape[-1]), np.float32)
    for row, where in zip(rows, places.values(), strict=True):
        for s, q in where:
            answered[s, q] = row
    return answered


def ask_set(
    model: CausalLM, prompts: EncodedPrompts, queries: Sequence[Example]
) -> NDArray[Any]:
    """Ask queries without demonstrations; shape (n_queries, n_vocab)."""
    return model.next_token_log_probs(prompts.alone(queries))


def ask_stack(
    model: CausalLM,
    prompts: EncodedPrompts,
    weights: Mapping[str, Any],
    sets: Sequence[int],
) -> NDArray[Any]:
    """Ask queries without demonstrations, each set with its own weights.

    Args:
        model: The model.
        prompts: The prompts of the task whose queries are asked.
        weights: Stacked tensors by name, with one member for each of the sets.
        sets: Indices of the sets.

    Returns:
        Shape (len(sets), n_queries, n_vocab).
    """
    queries = [prompts.task.queries[index] for index in sets]
    if all(of_set == queries[0] for of_set in queries):
        return model.log_probs_of_stack(weights, prompts.alone(queries[0]))
    answered = []
    for place, of_set in enumerate(queries):
        with model.tuned({name: w[place] for name, w in weights.items()}):
            answered.append(ask_set(model, prompts, of_set))
    return np.stack(answered)


def text_observation(
    prompts: EncodedPrompts,
    log_probs: NDArray[Any],
    *,
    gold_tokens: NDArray[Any] | None = None,
    first_set: int = 0,
    **facts: Any,
) -> Observation:
    """Put log-probabilities and the right labels into an observation.

    Of a large vocabulary it keeps only the part that measures need (see
    ``truncation``).

    Args:
        prompts: The prompts that were answered.
        log_probs: Shape (n_sets, n_queries, n_vocab), in nats.
        gold_tokens: Further tokens whose log-probabilities stay exact, shape (n_sets,
            n_queries, k), such as the right answers' own.
        first_set: Index in the cell of the first of these sets (see ``truncated``).
        facts: Plain values to keep with the answers.
    """
    gold = [[query.label for query in queries] for queries in prompts.task.queries]
    label_tokens = prompts.labels.first_tokens
    answers = truncated(
        log_probs, label_tokens, gold_tokens=gold_tokens, first_set=first_set
    )
    if "log_probs" not in answers:
        facts = {"n_vocab": log_probs.shape[-1], **facts}
    return Observation(
        arrays={**answers, "gold": np.array(gold, dtype=np.int64)},
        facts={"label_tokens": label_tokens, **facts},
    )


def regression_observation(
    task: RegressionTask, predictions: Any, sensitivities: Any, **facts: Any
) -> Observation:
    """Put predictions, gradients, queries and true answers into an observation."""
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
