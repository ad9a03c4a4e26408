"""Learning in context: the prompt holds the demonstrations, the weights are fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.data.regression_tasks import RegressionTask
from probes.data.text_tasks import places_of
from probes.learners.whole_answers import Answers, ask_whole, concatenated, stacked
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
            DataError: A prompt is too long.
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
            DataError: A prompt is too long.
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
    prompts, model = context.prompts(), context.model
    n_sets = len(prompts.task.queries)
    encoded = [prompts.in_context(index) for index in range(n_sets)]
    if not prompts.labels.scores_whole:
        log_probs = np.stack(model.log_probs_of_groups(encoded))
        return text_observation(prompts, {"log_probs": log_probs})
    answered = [
        ask_encoded(model, prompts, queries, of_set)
        for queries, of_set in zip(prompts.task.queries, encoded, strict=True)
    ]
    return text_observation(prompts, stacked(answered))


def ask_encoded(
    model: CausalLM,
    prompts: EncodedPrompts,
    queries: Sequence[Example],
    encoded: Sequence[list[int]],
) -> Answers:
    """Ask queries by their prompts, and score whole answers where the task needs it.

    Args:
        model: The model.
        prompts: The prompts of the task from which the queries come.
        queries: The queries.
        encoded: The prompt of each query.

    Returns:
        Arrays with the leading axis n_queries (see ``whole_answers``).
    """
    return ask_whole(prompts, queries, encoded, model.next_token_log_probs)


def ask_alone(model: CausalLM, prompts: EncodedPrompts) -> Answers:
    """Ask every query without demonstrations; leading axes (n_sets, n_queries)."""
    queries = prompts.task.queries
    places = places_of(queries)
    rows = {place: row for row, at in enumerate(places.values()) for place in at}
    shape = (len(queries), len(queries[0]))
    which = np.array([rows[place] for place in np.ndindex(shape)]).reshape(shape)
    answered = ask_set(model, prompts, list(places))
    return {name: array[which] for name, array in answered.items()}


def ask_set(
    model: CausalLM, prompts: EncodedPrompts, queries: Sequence[Example]
) -> Answers:
    """Ask queries without demonstrations; leading axis n_queries."""
    return ask_encoded(model, prompts, queries, prompts.alone(queries))


def ask_stack(
    model: CausalLM,
    prompts: EncodedPrompts,
    weights: Mapping[str, Any],
    sets: Sequence[int],
) -> Answers:
    """Ask queries without demonstrations, each set with its own weights.

    Args:
        model: The model.
        prompts: The prompts of the task whose queries are asked.
        weights: Stacked tensors by name, with one member for each of the sets.
        sets: Indices of the sets.

    Returns:
        Arrays with the leading axes (len(sets), n_queries).
    """
    queries = [prompts.task.queries[index] for index in sets]
    answered = []
    for asked, places in groupby(range(len(sets)), key=lambda place: queries[place]):
        members = list(places)
        own = {name: w[members[0] : members[-1] + 1] for name, w in weights.items()}
        answered.append(_ask_alike(model, prompts, own, asked, len(members)))
    return concatenated(answered)


def _ask_alike(
    model: CausalLM,
    prompts: EncodedPrompts,
    weights: Mapping[str, Any],
    queries: Sequence[Example],
    n: int,
) -> Answers:
    """Ask the same queries with each of n members of a stack of weights."""
    if n > 1:
        ask = partial(model.log_probs_of_stack, weights)
        return ask_whole(prompts, queries, prompts.alone(queries), ask)
    with model.tuned({name: w[0] for name, w in weights.items()}):
        return stacked([ask_set(model, prompts, queries)])


def text_observation(
    prompts: EncodedPrompts, answers: Answers, *, first_set: int = 0, **facts: Any
) -> Observation:
    """Put a learner's answers and the right ones into an observation.

    Of a large vocabulary it keeps only the part that measures need (see
    ``truncation``).

    Args:
        prompts: The prompts that were answered.
        answers: ``log_probs``, shape (n_sets, n_queries, n_vocab), in nats, and what
            ``ask_whole`` adds where whole answers are scored.
        first_set: Index in the cell of the first of these sets.
        facts: Plain values to keep with the answers.
    """
    firsts, queries = prompts.labels.first_tokens, prompts.task.queries
    whole = {name: array for name, array in answers.items() if name != "log_probs"}
    if prompts.task.is_open:
        labels, right = [], _gold_tokens(queries, firsts)
        whole["gold_tokens"] = right
        exact = np.where(right < 0, right[..., :1], right)  # no token is −1
    else:
        labels, exact = sorted(set(firsts)), None
        gold = [[query.label for query in of_set] for of_set in queries]
        whole["gold"] = np.array(gold, dtype=np.int64)
        facts = {"label_tokens": firsts, **facts}
    log_probs = answers["log_probs"]
    kept = truncated(log_probs, labels, gold_tokens=exact, first_set=first_set)
    if "log_probs" not in kept:
        facts = {"n_vocab": log_probs.shape[-1], **facts}
    return Observation(arrays={**kept, **whole}, facts=facts)


def _gold_tokens(
    queries: Sequence[Sequence[Example]], firsts: Sequence[int]
) -> NDArray[np.int64]:
    """List the first tokens of right answers, padded with −1."""
    most = max(len(query.right) for of_set in queries for query in of_set)
    table = np.full((len(queries), len(queries[0]), most), -1, dtype=np.int64)
    for s, q in np.ndindex(table.shape[:2]):
        right = queries[s][q].right
        table[s, q, : len(right)] = [firsts[index] for index in right]
    return table


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
