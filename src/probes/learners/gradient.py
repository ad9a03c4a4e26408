"""Gradient descent: a text model's weights learn from the demonstrations' labels.

The loss is the cross-entropy of the label tokens only, over the whole vocabulary: the
mean over an answer's tokens, or where whole answers are scored the sum over its tokens
and the one that ends it, as demonstrations show it. Each demonstration is a prompt of
its own. The learner then answers the query without
demonstrations (Shen et al. 2024, arXiv:2310.08540). Calibration queries decide the rate
and the number of passes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np

from probes.errors import NumericsError, OptionError
from probes.learners.in_context import ask_stack, text_observation
from probes.learners.training_trials import (
    SELECTION_SETS,
    calibration_losses,
    trials_of,
)
from probes.learners.whole_answers import concatenated
from probes.models.training.settings import TrainingSettings
from probes.observations.learner_cost import LearnerCost, PromptSizes, TokenCount
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.data.prompt_encoding import EncodedPrompts
    from probes.data.text_tasks import Example
    from probes.models.training.trainer import Trainer
    from probes.observations.request import Learner, LearnerContext


@runtime_checkable
class MovesWeights(Protocol):
    """A learner that answers with other weights than the model's."""

    def trained_weights(
        self, context: LearnerContext, facts: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Yield, for each demonstration set, the weights with which it answers.

        Args:
            context: The cell.
            facts: Those of the learner's observation, such as the chosen rate.
        """


@dataclass(frozen=True, kw_only=True)
class GradientLearner:
    """Train on the demonstrations, then answer the query alone.

    Attributes:
        optimizer: "gd" (plain steps) or "adam".
        rates: Learning rates to choose from.
        passes: Numbers of passes over the demonstrations to choose from.
        batch_size: Demonstrations in each step; None is the full batch.
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
        """The settings of training other than rate and passes."""
        return TrainingSettings(
            optimizer=self.optimizer,
            batch_size=self.batch_size,
            reshuffled=self.reshuffled,
            weights=self.weights,
        )

    @property
    def choice(self) -> Learner:
        """The learner that chooses rate and passes on calibration queries."""
        return Selection(of=self)

    def prepare(
        self,
        context: LearnerContext,
        prompts: EncodedPrompts,
        sets: Sequence[Sequence[Example]],
    ) -> Trainer:
        """Set up the training on sets of demonstrations."""
        from probes.models.training.label_batches import encode_label_batches
        from probes.models.training.trainer import trainer_for

        batches = encode_label_batches(context.model, prompts, sets)
        return trainer_for(context.model, self.training, batches)

    def observe(self, context: LearnerContext) -> Observation:
        """Train each demonstration set at the chosen rate, and ask its queries.

        Raises:
            NumericsError: Every rate diverges, or the update vanishes in rounding.
        """
        chosen = context.choose(self.choice)
        prompts = context.prompts()
        training = self.prepare(context, prompts, prompts.task.demonstrations)
        trials = trials_of(context, (chosen["rate"],), context.request.settings.n_sets)
        answered, norms = [], []
        for group in training.groups(trials):
            trained = training.run(group, chosen["passes"])
            trained.require_usable()
            sets = [trial.index for trial in group]
            norms += [training.update_norms(trained.of(i)) for i in range(len(group))]
            answered.append(ask_stack(context.model, prompts, trained.weights, sets))
        observation = text_observation(prompts, concatenated(answered), **chosen)
        arrays = {**observation.arrays, "update_norms": np.array(norms)}
        return replace(observation, arrays=arrays)

    def trained_weights(
        self, context: LearnerContext, facts: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Train again, which is deterministic; see :class:`MovesWeights`.

        Raises:
            NumericsError: The chosen rate diverges, or its update vanishes in rounding.
        """
        prompts = context.prompts()
        training = self.prepare(context, prompts, prompts.task.demonstrations)
        trials = trials_of(context, (facts["rate"],), context.request.settings.n_sets)
        for group in training.groups(trials):
            trained = training.run(group, facts["passes"])
            trained.require_usable()
            yield from map(trained.of, range(len(group)))

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost | None:
        """Count the training of every set, and its queries.

        Before the learner runs, the count is for the most passes that may be chosen.
        Afterwards the cost of a sub-model is unknown; it is less than the model's.
        """
        if facts is None:
            passes = max(self.passes)
        elif self.weights == "all" and "passes" in facts:
            passes = facts["passes"]
        else:
            return None
        own = TokenCount(
            read=sizes.all_queries,
            learned=passes * sizes.all_demonstrations,
            steps=sizes.n_sets * passes * self._steps_per_pass(sizes),
        )
        return LearnerCost(observation=own, choice=self._cost_of_choice(sizes))

    def _cost_of_choice(self, sizes: PromptSizes) -> TokenCount:
        """Count training at every rate, and calibration queries at every pass."""
        trained = len(self.rates) * min(SELECTION_SETS, sizes.n_sets)
        queries = sizes.n_calibration * sizes.query_tokens
        passes = trained * max(self.passes)
        return TokenCount(
            read=trained * len(self.passes) * queries,
            learned=passes * sizes.demonstration_tokens,
            steps=passes * self._steps_per_pass(sizes),
        )

    def _steps_per_pass(self, sizes: PromptSizes) -> int:
        each = self.batch_size or sizes.n_demonstrations
        return -(-sizes.n_demonstrations // each)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Choose rate and passes by the label loss on calibration queries.

    All sets of a cell share one choice: the best mean over the cell's first
    demonstration sets. It costs a fraction of the training and cannot fit single sets.
    The observation holds no arrays. Its ``facts`` have the rate, the passes and the
    whole table of losses, in which None marks a rate that diverged or vanished.
    """

    of: GradientLearner
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Train the first sets at every rate, and read the loss after some passes.

        Raises:
            NumericsError: No rate gives a finite loss.
        """
        prompts = context.prompts()
        demonstrations = prompts.task.demonstrations[:SELECTION_SETS]
        training = self.of.prepare(context, prompts, demonstrations)
        losses, faults = calibration_losses(
            context, prompts, training, rates=self.of.rates, passes=self.of.passes
        )
        if not np.isfinite(losses).any():
            raise NumericsError(
                f"No learning rate of {self.of.rates} trains "
                f"{context.request.model.name}. Expected one that neither diverges nor "
                f"vanishes. {next(filter(None, faults), '')}".rstrip()
            )
        r, p = divmod(int(np.argmin(losses)), len(self.of.passes))
        n_sets = len(demonstrations)
        table = [
            [v / n_sets if math.isfinite(v) else None for v in row] for row in losses
        ]
        n_rates = len(self.of.rates)
        facts = {
            "rate": self.of.rates[r],
            "passes": self.of.passes[p],
            "calibration_losses": table,
            "at_edge": bool(r in (0, n_rates - 1) and n_rates > 1),
        }
        return Observation(arrays={}, facts=facts)
