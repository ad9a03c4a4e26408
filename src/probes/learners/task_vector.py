"""A task vector: ICL squeezed into one hidden state, as a rival of GD.

Hendel, Geva and Globerson 2023, arXiv:2310.15916: the demonstrations and a dummy query
are read once; the hidden state that a middle layer has at the last token is put in its
place while the query is answered alone. Where the prompt ends with a token that says
nothing, such as a colon, that takes nothing from the query. Where it ends with the
query's own words, the state takes their place; there what the demonstrations added to
the state can be added instead (Liu et al. 2023, arXiv:2311.06668).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from probes.data.tokenization import verbalize
from probes.errors import DataError
from probes.learners.encoded_prompts import Texts
from probes.learners.gradient import SELECTION_SETS
from probes.learners.in_context import text_observation
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import LearnerContext

Form = Literal["replaced", "added"]
N_DUMMIES = 4  # the authors have one; a mean of several carries less of any


@dataclass(frozen=True, kw_only=True)
class TaskVector:
    """Answer the query alone, with the hidden state that demonstrations left behind.

    Attributes:
        form: "replaced" puts the state after demonstrations and a dummy query in place
            of the query's; "added" adds by how much it differs from that of the dummy
            query alone.
    """

    form: Form = "replaced"
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Take one vector a set, and answer its queries with it.

        Raises:
            DataError: A prompt is too long, or there are too few calibration queries.
        """
        from probes.models.causal_lm.activation_patching import log_probs_with

        choice = LayerChoice(form=self.form)
        chosen = context.choose(choice)
        layer = chosen["layer"]
        states = context.observe(TaskStates(), queries="calibration")[self.form]
        texts, model = _texts(context), context.model
        answered = [
            log_probs_with(model, texts.queries(i), layer, vector, form=self.form)
            for i, vector in enumerate(states[:, layer])
        ]
        return text_observation(texts.task, texts.labels, np.stack(answered), **chosen)


@dataclass(frozen=True, kw_only=True)
class TaskStates:
    """Read the hidden states after each set's demonstrations and its dummy queries.

    The observation has ``replaced``, the states at the last token, and ``added``, what
    demonstrations change in them, both (n_sets, n_layers, d_model), means over dummies:
    the first queries, up to ``N_DUMMIES``, never more than half.
    """

    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Run the dummy queries of each set, in context and alone.

        Raises:
            DataError: A prompt is too long, or there are too few queries.
        """
        from probes.models.causal_lm.activation_patching import states_at_the_end

        texts, model = _texts(context), context.model
        n = n_dummies(texts)
        after, alone = (
            np.stack(
                [
                    states_at_the_end(model, prompts(index)[:n]).mean(axis=0)
                    for index in range(len(texts.task.queries))
                ]
            )
            for prompts in (texts.queries_in_context, texts.queries)
        )
        return Observation(arrays={"replaced": after, "added": after - alone})


@dataclass(frozen=True, kw_only=True)
class LayerChoice:
    """Choose the layer whose vectors give calibration queries the least label loss.

    The authors choose by accuracy, in which layers often are alike. The choice is one
    for the cell, by its first sets, on queries that are no dummies; its observation
    holds no arrays.
    """

    form: Form
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Try every layer.

        Raises:
            DataError: A prompt is too long, or there are too few queries.
        """
        texts, states = _texts(context), context.observe(TaskStates())[self.form]
        losses = [
            [
                _loss(context.model, texts, index, layer, vector, self.form)
                for layer, vector in enumerate(vectors)
            ]
            for index, vectors in enumerate(states[:SELECTION_SETS])
        ]
        table = np.mean(losses, axis=0)  # (n_layers,)
        facts = {"layer": int(table.argmin()), "calibration_losses": table.tolist()}
        return Observation(arrays={}, facts=facts)


def n_dummies(texts: Texts) -> int:
    """Count the queries of each set that are dummies.

    Raises:
        DataError: None would be left to choose a layer by.
    """
    n_queries = len(texts.task.queries[0])
    if n_queries < 2:
        raise DataError(
            f"A task vector needs a calibration query to read it after, and others to "
            f"choose its layer by; there is {n_queries}. Expected at least 2. Pass "
            f"--calibration 2 or more."
        )
    return min(N_DUMMIES, n_queries // 2)


def _loss(
    model: Any, texts: Texts, index: int, layer: int, vector: Any, form: Form
) -> float:
    """Average the right label's loss over a set's queries but the dummies, in nats."""
    from probes.models.causal_lm.activation_patching import log_probs_with

    n = n_dummies(texts)
    asked = texts.task.queries[index][n:]
    found = log_probs_with(model, texts.queries(index)[n:], layer, vector, form=form)
    gold = [texts.labels.first_tokens[query.label] for query in asked]
    return float(-found[np.arange(len(asked)), gold].mean(dtype=np.float64))


def _texts(context: LearnerContext) -> Texts:
    task, model = context.text_task(), context.model
    return Texts(model, task, verbalize(model.tokenizer, task))
