"""Gradient descent: a text model's weights learn from the demonstrations' labels.

The loss is the cross-entropy of the label tokens only, over the whole vocabulary: the
mean over an answer's tokens, or where whole answers are scored the sum over its tokens
and the one that ends it, as demonstrations show it. Each demonstration is a prompt of
its own. Two other losses are asked for by name: among the label words alone, and with
the other demonstrations before each one. The learner then answers the query without
demonstrations (Shen et al. 2024, arXiv:2310.08540). The rate and the number of passes
are searched for on calibration queries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from probes.errors import OptionError
from probes.learners.answers_of_weights import AnswersOfWeights
from probes.learners.criterion import LABEL_LOSS, Criterion
from probes.learners.rate_choice import RateChoice
from probes.learners.search_effort import STANDARD, SearchEffort
from probes.learners.shared_training import (
    WeightsReader,
    observe_training,
    observe_trainings,
)
from probes.learners.training_trials import trials_of
from probes.models.training.settings import TrainingSettings
from probes.models.weights.parameter_groups import trained_share
from probes.observations.learner_cost import LearnerCost, PromptSizes, TokenCount
from probes.observations.observation import Observation
from probes.observations.shared_work import Answer

if TYPE_CHECKING:
    from probes.data.prompt_encoding import EncodedPrompts
    from probes.data.text_tasks import Example
    from probes.models.training.trainer import Trainer
    from probes.observations.request import Learner, LearnerContext, Request

TYPICAL_PASSES = 4
"""Passes that are usually chosen, to count the cost beforehand."""


@dataclass(frozen=True, kw_only=True)
class GradientLearner:
    """Train on the demonstrations, then answer the query alone.

    The rate is constant; schedules are not tried.

    Attributes:
        optimizer: "gd" (plain steps) or "adam".
        batch_size: Demonstrations in each step; None is the full batch.
        reshuffled: Draw a new order for each pass after the first.
        weights: "all", or a sub-model such as "W_V@middle" (see ``parameter_groups``);
            "lora@all" moves low-rank changes (see ``models.training.lora``).
        after: What stands before a demonstration in the prompt that is learned:
            "nothing", or "the others" in their order.
        among: Which tokens share the probabilities of the loss: the "vocabulary", or
            the "label words" alone.
        rate: The learning rate; None searches for the best.
        passes: Passes over the demonstrations; None searches for the best number.
        criterion: What the rate and the passes minimise.
        criteria: All criteria that claims choose by in this cell. One search reads them
            all, so that none is trained for twice.
        effort: How much the search may cost.
    """

    optimizer: Literal["gd", "adam"] = "gd"
    batch_size: int | None = None
    reshuffled: bool = False
    weights: str = "all"
    after: Literal["nothing", "the others"] = "nothing"
    among: Literal["vocabulary", "label words"] = "vocabulary"
    rate: float | None = None
    passes: int | None = None
    criterion: Criterion = LABEL_LOSS
    criteria: tuple[Criterion, ...] = (LABEL_LOSS,)
    effort: SearchEffort = STANDARD
    needs_model: bool = True

    def __post_init__(self) -> None:
        if self.rate is not None and not (0 <= self.rate < math.inf):
            raise OptionError(
                f"The learning rate is {self.rate}. Expected a finite number >= 0, or "
                f"None to search for the best. Mend rate=."
            )
        if self.passes is not None and self.passes < 1:
            raise OptionError(
                f"The number of passes is {self.passes}. Expected at least 1, or None "
                f"to search for the best. Mend passes=."
            )
        if self.rate is not None and self.passes is None:
            raise OptionError(
                f"The learning rate {self.rate} is given without passes. Expected "
                f"both, passes alone, or neither. Pass passes= too."
            )
        if self.criterion not in self.criteria:
            raise OptionError(
                f"The criterion {self.criterion.name!r} is not among those that are "
                f"searched: {[c.name for c in self.criteria]}. Expected it there. Add "
                f"it to criteria=."
            )

    @property
    def model_needs(self) -> tuple[str, ...]:
        """What the architecture must have (see ``models.capabilities``)."""
        return () if self.weights == "all" else (self.weights.partition("@")[0],)

    @property
    def has_no_order(self) -> bool:
        """Whether each step reads all demonstrations, so that none comes first."""
        return self.batch_size is None and self.after == "nothing"

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
        return RateChoice(of=replace(self, criterion=self.criteria[0]))

    def settings_in(self, context: LearnerContext) -> dict[str, Any]:
        """Give the rate and the passes, and how they were chosen."""
        if self.rate is not None:
            return {"rate": self.rate, "passes": self.passes}
        return dict(context.choose(self.choice)[self.criterion.name])

    def prepare(
        self,
        context: LearnerContext,
        prompts: EncodedPrompts,
        sets: Sequence[Sequence[Example]],
    ) -> Trainer:
        """Set up the training on sets of demonstrations."""
        from probes.models.training.label_batches import encode_label_batches
        from probes.models.training.trainer import trainer_for

        batches = encode_label_batches(
            context.model, prompts, sets, after=self.after, among=self.among
        )
        return trainer_for(context.model, self.training, batches)

    @property
    def trained(self) -> GradientLearner:
        """The learner that trains: this one (see ``shared_training``)."""
        return self

    def observe(self, context: LearnerContext) -> Observation:
        """Train each demonstration set at the chosen rate, and ask its queries.

        Raises:
            NumericsError: Every rate diverges, or the update vanishes in rounding.
        """
        return observe_training(context)

    def work(self, request: Request) -> Request:
        """Name the training; see ``shared_work.SharesWork``.

        It does not depend on what the rate and the passes are chosen by.
        """
        plain = replace(self, criterion=LABEL_LOSS, criteria=(LABEL_LOSS,))
        return replace(request, learner=plain)

    def observe_together(self, contexts: Sequence[LearnerContext]) -> list[Answer]:
        """Train once for all; see ``shared_work.SharesWork``."""
        return observe_trainings(contexts)

    def reader(self, context: LearnerContext, training: Trainer) -> WeightsReader:
        """Return what asks the queries of a request."""
        return AnswersOfWeights(context, training)

    def trained_weights(
        self, context: LearnerContext, facts: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Train again, which is deterministic; see ``MovesWeights``.

        Raises:
            NumericsError: The chosen rate diverges, or its update vanishes in rounding.
        """
        prompts = context.prompts()
        training = self.prepare(context, prompts, prompts.task.demonstrations)
        trials = trials_of(context, (facts["rate"],), context.request.n_sets)
        for group in training.groups(trials):
            trained = training.run(group, facts["passes"])
            trained.require_usable()
            yield from map(trained.of, range(len(group)))

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count the training of every set, and its queries.

        Before the learner runs, the count is for as many passes as are usually chosen.
        Afterwards it leaves out those that another request has counted.
        """
        usual = self.passes or self.effort.usual_passes(TYPICAL_PASSES)
        passes = usual if facts is None else facts["own_passes"]
        asked = self.asking(sizes, sizes.n_sets, sizes.n_queries)
        longest = self.training_work(
            sizes, sizes.n_sets, self.passes or self.effort.most_passes
        )
        return LearnerCost(
            observation=self.training_work(sizes, sizes.n_sets, passes).plus(asked),
            limit=longest.plus(asked) if facts is None else None,
        )

    def needed(self, request: Request) -> list[Request]:
        """List the choice of rate and passes, unless they are given."""
        return [] if self.rate is not None else [request.of_choice(self.choice)]

    def training_work(
        self, sizes: PromptSizes, n_sets: int, passes: float
    ) -> TokenCount:
        """Count training: layers below the lowest one that moves are read once.

        A sub-model's gradients go through the layers above it, but hardly any of them
        forms gradients of its own weights, a third of the work.
        """
        share = trained_share(self.weights, sizes.n_layers)
        moved = share if self.weights == "all" else share * 2 / 3
        repeats = sizes.n_demonstrations if self.after == "the others" else 1
        tokens = n_sets * sizes.demonstration_tokens * repeats
        return TokenCount(
            read=tokens * (1 - share),
            learned=passes * tokens * moved,
            steps=passes * n_sets * self._steps_per_pass(sizes) * moved,
            answered=3 * passes * n_sets * sizes.n_demonstrations,
        )

    def asking(
        self, sizes: PromptSizes, n_sets: int, n_queries: int, times: int = 1
    ) -> TokenCount:
        """Count queries: below the lowest layer that moves all sets share one answer.

        Args:
            sizes: Of the request.
            n_sets: Sets, each with weights of its own.
            n_queries: Queries of each set.
            times: How often they are asked, each time with other weights.
        """
        share = trained_share(self.weights, sizes.n_layers)
        once = n_queries * sizes.query_tokens
        return TokenCount(
            read=once * (1 - share) + times * n_sets * once * share,
            answered=times * n_sets * n_queries,
        )

    def _steps_per_pass(self, sizes: PromptSizes) -> int:
        each = self.batch_size or sizes.n_demonstrations
        return -(-sizes.n_demonstrations // each)
