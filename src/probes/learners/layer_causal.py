"""Learning by layer-causal GD, and the weights that any gradient learner comes to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.data.tokenization import verbalize
from probes.errors import NumericsError
from probes.learners.gradient import (
    SELECTION_SETS,
    GradientLearner,
    RandomUpdate,
    training_seed,
)
from probes.learners.in_context import ask_set, text_observation
from probes.models.training.settings import TrainingSettings
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import LearnerContext


@dataclass(frozen=True, kw_only=True)
class LayerCausal(GradientLearner):
    """Train each layer by its own output's loss (see ``layerwise_loss``)."""

    @property
    def training(self) -> TrainingSettings:
        """How the weights move, apart from rate and passes."""
        return replace(super().training, loss="layerwise")

    def observe(self, context: LearnerContext) -> Observation:
        """Train each demonstration set at the chosen rate, and ask its queries.

        Raises:
            NumericsError: Every rate diverges, or the update vanishes in rounding.
        """
        chosen = context.choose(LayerSelection(of=self))
        task, model = context.text_task(), context.model
        labels = verbalize(model.tokenizer, task)
        answered = []
        for asked, weights in zip(
            task.queries, retrained(context, self, chosen), strict=True
        ):
            with model.tuned(weights):
                answered.append(ask_set(model, task, labels, asked))
        return text_observation(task, labels, np.stack(answered), **chosen)


@dataclass(frozen=True, kw_only=True)
class LayerSelection:
    """Choose rate and passes by the whole model's label loss on calibration queries."""

    of: LayerCausal
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Train the first sets at every rate, reading the loss at every pass asked for.

        Raises:
            NumericsError: No rate gives a finite loss.
        """
        from probes.models.training.label_batches import encode_lessons
        from probes.models.training.training_runs import TrainingRun

        task, model = context.text_task(), context.model
        labels = verbalize(model.tokenizer, task)
        used = range(min(SELECTION_SETS, len(task.demonstrations)))
        training = _training(context, self.of)
        asked = encode_lessons(model, task, labels, [task.queries[i] for i in used])
        trials = [
            TrainingRun(index=index, rate=rate, seed=training_seed(context, index))
            for rate in self.of.rates
            for index in used
        ]
        found = [
            training.losses(group, self.of.passes, asked)[0]
            for group in training.groups(trials)
        ]
        total = np.concatenate(found).reshape(len(self.of.rates), len(used), -1).sum(1)
        if not np.isfinite(total).any():
            raise NumericsError(
                f"No learning rate of {self.of.rates} trains the layers of "
                f"{context.request.model.name}. Expected one that does not diverge. "
                f"Lower rates=."
            )
        r, p = divmod(int(np.argmin(total)), total.shape[1])
        facts = {"rate": self.of.rates[r], "passes": self.of.passes[p]}
        return Observation(arrays={}, facts=facts)


def retrained(
    context: LearnerContext, learner: Any, chosen: Any
) -> Iterator[dict[str, Any]]:
    """Give, for each demonstration set, the weights that a learner comes to.

    Training is deterministic: they are the weights with which the learner answered.

    Args:
        context: The cell.
        learner: A gradient learner, or a random update matched to one; any other leaves
            the weights as they are.
        chosen: The learner's rate and passes, as ``facts`` of its observation.

    Raises:
        NumericsError: The chosen rate diverges, or its update vanishes in rounding.
    """
    from probes.models.training.training_runs import TrainingRun

    n_sets = context.request.settings.n_sets
    if isinstance(learner, RandomUpdate):
        norms = context.observe(learner.matched_to)["update_norms"]
        training = _training(context, learner.matched_to)
        for index in range(n_sets):
            yield training.moved_randomly(
                norms[index].tolist(), training_seed(context, index)
            )
    elif isinstance(learner, GradientLearner):
        at_choice = replace(learner, rates=(chosen["rate"],))
        training = _training(context, at_choice)
        trials = [
            TrainingRun(
                index=index, rate=chosen["rate"], seed=training_seed(context, index)
            )
            for index in range(n_sets)
        ]
        for group in training.groups(trials):
            trained = training.run(group, chosen["passes"])
            trained.require_usable()
            yield from map(trained.of, range(len(group)))
    else:
        yield from ({} for _ in range(n_sets))


def _training(context: LearnerContext, learner: GradientLearner) -> Any:
    from probes.models.training.label_batches import encode_lessons
    from probes.models.training.trainer import trainer_for

    task, model = context.text_task(), context.model
    labels = verbalize(model.tokenizer, task)
    lessons = encode_lessons(model, task, labels, task.demonstrations)
    return trainer_for(model, learner.training, lessons)
