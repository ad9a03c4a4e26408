"""A task vector: ICL compressed into one hidden state, an alternative to GD.

Hendel, Geva and Globerson 2023, arXiv:2310.15916: the model reads the demonstrations
and a dummy query once. A middle layer's hidden state at the last token then replaces
the state at the last token of the query, which is answered alone. If the prompt ends
with an empty token such as a colon, the query loses nothing. If it ends with the
query's own words, the replaced state loses them. In that case the change that the
demonstrations made to the state can be added instead (Liu et al. 2023,
arXiv:2311.06668).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from probes.errors import DataError
from probes.learners.in_context import reads_queries, text_observation
from probes.learners.training_trials import SELECTION_SETS
from probes.learners.whole_answers import (
    Answers,
    ask_whole,
    stacked,
    token_by_token,
)
from probes.observations.learner_cost import LearnerCost, PromptSizes, TokenCount
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.data.prompt_encoding import EncodedPrompts
    from probes.data.text_tasks import Example, TextTask
    from probes.observations.request import LearnerContext, Request

Form = Literal["replaced", "added"]
N_DUMMIES = 4  # the authors use one; a mean of several carries less of any single one


@dataclass(frozen=True, kw_only=True)
class TaskVector:
    """Answer the query alone, with a hidden state taken from the demonstrations.

    Attributes:
        form: "replaced" replaces the query's state by the state after demonstrations
            and a dummy query; "added" adds the difference between that state and the
            state of the dummy query alone.
    """

    form: Form = "replaced"
    needs_model: bool = True
    model_needs: ClassVar[tuple[str, ...]] = ("layers",)

    def observe(self, context: LearnerContext) -> Observation:
        """Take one vector for each set, and answer its queries with it.

        Raises:
            DataError: A prompt is too long, or there are too few calibration queries.
        """
        choice = LayerChoice(form=self.form)
        chosen = context.choose(choice)
        layer = chosen["layer"]
        states = context.observe(TaskStates(), queries="calibration")[self.form]
        prompts = context.prompts().with_room_for_answers()
        answered = [
            _ask_with(context.model, prompts, queries, layer, vector, self.form)
            for queries, vector in zip(
                prompts.task.queries, states[:, layer], strict=True
            )
        ]
        return text_observation(prompts, stacked(answered), **chosen)

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count the queries, each with its set's vector."""
        return reads_queries(sizes)

    def needed(self, request: Request) -> list[Request]:
        """List the choice of the layer."""
        return [request.of_choice(LayerChoice(form=self.form))]


@dataclass(frozen=True, kw_only=True)
class TaskStates:
    """Read the hidden states after each set's demonstrations and its dummy queries.

    The observation has ``replaced``, the states at the last token, and ``added``, what
    demonstrations change in them, both (n_sets, n_layers, d_model), means over dummies:
    the first queries, up to ``N_DUMMIES``, never more than half.
    """

    needs_model: bool = True
    model_needs: ClassVar[tuple[str, ...]] = ("layers",)

    def observe(self, context: LearnerContext) -> Observation:
        """Run the dummy queries of each set, in context and alone.

        Raises:
            DataError: A prompt is too long, or there are too few queries.
        """
        from probes.models.causal_lm.activation_patching import states_at_the_end

        prompts = context.prompts().with_room_for_answers()
        n = n_dummies(prompts.task)

        def mean_states(encoded: list[list[int]]) -> Any:
            return states_at_the_end(context.model, encoded[:n]).mean(axis=0)

        sets = range(len(prompts.task.queries))
        after = np.stack([mean_states(prompts.in_context(i)) for i in sets])
        alone = np.stack([mean_states(prompts.alone(q)) for q in prompts.task.queries])
        return Observation(arrays={"replaced": after, "added": after - alone})

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count a few dummy queries of each set, in context and alone."""
        n_read = sizes.n_sets * min(N_DUMMIES, max(1, sizes.n_queries // 2))
        prompt = sizes.demonstration_tokens + 2 * sizes.query_tokens
        return LearnerCost(observation=TokenCount(read=n_read * prompt))


@dataclass(frozen=True, kw_only=True)
class LayerChoice:
    """Choose the layer whose vectors give calibration queries the least label loss.

    The authors choose by accuracy, which is often equal for several layers. All sets of
    a cell share one choice, made on the first sets with queries that are not dummies.
    The observation holds no arrays.
    """

    form: Form
    needs_model: bool = True
    model_needs: ClassVar[tuple[str, ...]] = ("layers",)

    def observe(self, context: LearnerContext) -> Observation:
        """Try every layer.

        Raises:
            DataError: A prompt is too long, or there are too few queries.
        """
        prompts = context.prompts().with_room_for_answers()
        states = context.observe(TaskStates())[self.form]
        losses = [
            [
                _loss(context.model, prompts, index, layer, vector, self.form)
                for layer, vector in enumerate(vectors)
            ]
            for index, vectors in enumerate(states[:SELECTION_SETS])
        ]
        table = np.mean(losses, axis=0)  # (n_layers,)
        facts = {"layer": int(table.argmin()), "calibration_losses": table.tolist()}
        return Observation(arrays={}, facts=facts)

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count the first sets' queries, once for each layer."""
        few = replace(sizes, n_sets=min(SELECTION_SETS, sizes.n_sets))
        return reads_queries(few, times=sizes.n_layers)

    def needed(self, request: Request) -> list[Request]:
        """List the hidden states."""
        return [replace(request, learner=TaskStates())]


def n_dummies(task: TextTask) -> int:
    """Count the dummy queries of each set.

    Raises:
        DataError: No other query is left to choose a layer.
    """
    n_queries = len(task.queries[0])
    if n_queries < 2:
        raise DataError(
            f"There are {n_queries} calibration queries, and a task vector needs one "
            f"as the dummy query and others to choose its layer. Expected at least 2. "
            f"Pass --calibration 2 or more."
        )
    return min(N_DUMMIES, n_queries // 2)


def _loss(
    model: Any,
    prompts: EncodedPrompts,
    index: int,
    layer: int,
    vector: Any,
    form: Form,
) -> float:
    """Average the right answer's loss over a set's other queries, in nats."""
    queries = prompts.task.queries[index][n_dummies(prompts.task) :]
    answered = _ask_with(model, prompts, queries, layer, vector, form)
    if prompts.task.is_open:
        return float(-answered["right_log_probs"].mean())
    gold = [query.label for query in queries]
    if prompts.labels.scores_whole:
        log_probs = answered["answer_log_probs"]
    else:
        log_probs = answered["log_probs"][:, prompts.labels.first_tokens]
    return float(-log_probs[np.arange(len(gold)), gold].mean(dtype=np.float64))


def _ask_with(
    model: Any,
    prompts: EncodedPrompts,
    queries: Sequence[Example],
    layer: int,
    vector: Any,
    form: Form,
) -> Answers:
    """Ask queries alone, with a patched state at the last token of each prompt."""
    from probes.models.causal_lm.activation_patching import log_probs_with

    def ask(asked: Sequence[list[int]], n_after: Sequence[int]) -> Any:
        return log_probs_with(model, asked, layer, vector, form=form, n_after=n_after)

    return ask_whole(prompts, queries, prompts.alone(queries), token_by_token(ask))
