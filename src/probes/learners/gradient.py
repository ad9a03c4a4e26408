"""Learning by gradient: a text model's weights move on the demonstrations' labels.

The loss is the cross-entropy of the label tokens only, over the whole vocabulary; each
demonstration is a prompt of its own; the query is then asked alone (Shen et al. 2024,
arXiv:2310.08540). Rate and number of passes are chosen on calibration queries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from probes.data.tokenization import verbalize
from probes.errors import NumericsError, OptionError
from probes.hashing import seed_of
from probes.learners.in_context import ask_set, ask_stack, text_observation
from probes.models.training.settings import TrainingSettings
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import Learner, LearnerContext

SELECTION_SETS = 4  # demonstration sets on which rate and passes are chosen


@dataclass(frozen=True, kw_only=True)
class GradientLearner:
    """Train on the demonstrations, then answer the query alone.

    Attributes:
        optimizer: "gd" (plain steps) or "adam".
        rates: Learning rates to choose from.
        passes: Numbers of passes over the demonstrations to choose from.
        batch_size: Demonstrations a step; None is the full batch.
        reshuffled: Draw a new order for each pass after the first.
        weights: "all", or a sub-model such as "W_V@middle" (see ``parameter_groups``);
            "lora@all" moves low-rank changes (see ``models.training.lora``).
    """

    optimizer: Literal["gd", "adam"] = "gd"
    rates: tuple[float, ...]
    passes: tuple[int, ...]
    batch_size: int | None = None
    reshuffled: bool = False
    weights: str = "all"
    needs_model: bool = True

    def __post_init__(self) -> None:
        if (
            not self.rates
            or min(self.rates) < 0
            or not all(map(math.isfinite, self.rates))
        ):
            raise OptionError(
                f"The learning rates are {self.rates}. Expected at least one finite "
                f"number >= 0. Mend rates=."
            )
        if not self.passes or min(self.passes) < 1:
            raise OptionError(
                f"The passes are {self.passes}. Expected at least one number >= 1. "
                f"Mend passes=."
            )

    @property
    def training(self) -> TrainingSettings:
        """How the weights move, apart from rate and passes."""
        return TrainingSettings(
            optimizer=self.optimizer,
            batch_size=self.batch_size,
            reshuffled=self.reshuffled,
            weights=self.weights,
        )

    @property
    def choice(self) -> Learner:
        """Who chooses rate and passes, on calibration queries."""
        return Selection(of=self)

    def observe(self, context: LearnerContext) -> Observation:
        """Train each demonstration set at the chosen rate, and ask its queries.

        Raises:
            NumericsError: Every rate diverges, or the update vanishes in rounding.
        """
        from probes.models.training.label_batches import encode_lessons
        from probes.models.training.trainer import trainer_for
        from probes.models.training.training_runs import TrainingRun

        chosen = context.choose(self.choice)
        task, model = context.text_task(), context.model
        labels = verbalize(model.tokenizer, task)
        lessons = encode_lessons(model, task, labels, task.demonstrations)
        training = trainer_for(model, self.training, lessons)
        trials = [
            TrainingRun(
                index=index, rate=chosen["rate"], seed=training_seed(context, index)
            )
            for index in range(len(task.demonstrations))
        ]
        answered, norms = [], []
        for group in training.groups(trials):
            trained = training.run(group, chosen["passes"])
            trained.require_usable()
            sets = [trial.index for trial in group]
            norms += [training.update_norms(trained.of(i)) for i in range(len(group))]
            answered.append(ask_stack(model, task, labels, trained.weights, sets))
        observation = text_observation(task, labels, np.concatenate(answered), **chosen)
        arrays = {**observation.arrays, "update_norms": np.array(norms)}
        return replace(observation, arrays=arrays)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Choose rate and passes by the label loss on calibration queries.

    The choice is one for the cell, by the mean over its first demonstration sets, so
    that it costs a fraction of the training and cannot fit single sets. Its observation
    holds no arrays; ``facts`` has rate, passes and the whole table of losses, in which
    None marks a rate that diverged or vanished.
    """

    of: GradientLearner
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Train the first sets at every rate, reading the loss at every pass asked for.

        Raises:
            NumericsError: No rate gives a finite loss.
        """
        from probes.models.training.label_batches import encode_lessons
        from probes.models.training.trainer import trainer_for
        from probes.models.training.training_runs import TrainingRun

        task, model = context.text_task(), context.model
        labels = verbalize(model.tokenizer, task)
        used = range(min(SELECTION_SETS, len(task.demonstrations)))
        shown, asked = (
            encode_lessons(model, task, labels, [sets[i] for i in used])
            for sets in (task.demonstrations, task.queries)
        )
        training = trainer_for(model, self.of.training, shown)
        trials = [
            TrainingRun(index=index, rate=rate, seed=training_seed(context, index))
            for rate in self.of.rates
            for index in used
        ]
        found, faults = [], []
        for group in training.groups(trials):
            losses, failed = training.losses(group, self.of.passes, asked)
            found.append(losses)
            faults += failed
        shape = (len(self.of.rates), len(self.of.passes))
        total = np.concatenate(found).reshape(shape[0], len(used), -1).sum(axis=1)
        if not np.isfinite(total).any():
            raise NumericsError(
                f"No learning rate of {self.of.rates} trains "
                f"{context.request.model.name}. Expected one that neither diverges nor "
                f"vanishes. {next(filter(None, faults), '')}".rstrip()
            )
        r, p = divmod(int(np.argmin(total)), shape[1])
        table = [
            [v / len(used) if math.isfinite(v) else None for v in row] for row in total
        ]
        facts = {
            "rate": self.of.rates[r],
            "passes": self.of.passes[p],
            "calibration_losses": table,
            "at_edge": bool(r in (0, shape[0] - 1) and shape[0] > 1),
        }
        return Observation(arrays={}, facts=facts)


@dataclass(frozen=True, kw_only=True)
class RandomUpdate:
    """Move the weights in a random direction by as much as a gradient learner did.

    Attributes:
        matched_to: The learner whose update has the same norm, tensor by tensor.
    """

    matched_to: GradientLearner
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Add one seeded Gaussian update for each set, and ask its queries."""
        from probes.models.training.label_batches import encode_lessons
        from probes.models.training.trainer import trainer_for

        matched = context.observe(self.matched_to)
        task, model = context.text_task(), context.model
        labels = verbalize(model.tokenizer, task)
        lessons = encode_lessons(model, task, labels, task.demonstrations)
        training = trainer_for(model, self.matched_to.training, lessons)
        answered = []
        for index, asked in enumerate(task.queries):
            norms = matched["update_norms"][index].tolist()
            seed = training_seed(context, index)
            with model.tuned(training.moved_randomly(norms, seed)):
                answered.append(ask_set(model, task, labels, asked))
        return text_observation(task, labels, np.stack(answered))


def training_seed(context: LearnerContext, index: int) -> int:
    """Seed the training on a demonstration set, also where it is repeated."""
    return seed_of("training", context.request.settings.seed, index)
