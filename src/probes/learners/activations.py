"""Self-attention inside a text model while a learner answers: for claims about updates.

An observation keeps the parts that measures read, in float32: self-attention's output
at the last token, the last token's attention to the query, and its attention to the
demonstrations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from probes.learners.activations_of_weights import ActivationsOfWeights
from probes.learners.in_context import InContext, reads_queries, reads_whole
from probes.learners.shared_training import (
    MovesWeights,
    ReadsTraining,
    WeightsReader,
    observe_training,
    observe_trainings,
)
from probes.observations.learner_cost import LearnerCost, PromptSizes, TokenCount
from probes.observations.observation import Observation
from probes.observations.shared_work import Answer

if TYPE_CHECKING:
    from probes.models.training.trainer import Trainer
    from probes.observations.request import LearnerContext, Request


@dataclass(frozen=True, kw_only=True)
class Activations:
    """Record self-attention while a learner answers.

    The observation's arrays, where n_tokens is the longest of the cell:

    - ``outputs`` (n_sets, n_queries, n_layers, d_model): self-attention's output at the
      last token.
    - ``maps`` (n_sets, n_queries, n_layers, n_heads, n_tokens): q·k/√d_head of the last
      token with the query's tokens, before mask and softmax; 0 on the left of shorter
      queries.
    - ``query_lengths`` (n_sets, n_queries): the query's tokens.
    - ``demonstration_scores`` (n_sets, n_queries, n_layers, n_tokens): for ICL the last
      token's q·k/√d_head with the demonstrations' tokens, the mean over heads. For
      others ⟨xᵢ, x⟩ of what enters self-attention at the demonstrations' tokens, each
      demonstration a prompt of its own, and at the query's last token: the weights
      with which a GD step on a linear map answers x.
    - ``owners`` (n_sets, n_tokens): the demonstration that each of these tokens belongs
      to, the same number in every order of the demonstrations; −1 is none.

    Attributes:
        of: The learner: ICL, the query alone, GD, or a random update.

    Reference:
        Dai et al. 2022, arXiv:2212.10559, §4.2. There ⟨qᵢ, q⟩ of query vectors stands
        for ⟨xᵢ, x⟩; the dual form has x itself, which knows no rotary positions.
    """

    of: Any
    needs_model: bool = True
    model_needs: ClassVar[tuple[str, ...]] = ("attention",)

    @property
    def trained(self) -> Any:
        """The learner that trains; None if the learner's weights do not move."""
        return self.of.trained if isinstance(self.of, ReadsTraining) else None

    def observe(self, context: LearnerContext) -> Observation:
        """Run every set's prompts whole, with the learner's final weights.

        Raises:
            DataError: A prompt is too long.
            ModelError: The model's attention cannot be recorded.
            NumericsError: Training fails.
        """
        if self.trained is not None:
            return observe_training(context)
        reader = ActivationsOfWeights(context, is_icl=isinstance(self.of, InContext))
        of_sets = [
            reader.read_set(weights, index)
            for index, weights in enumerate(self._weights(context))
        ]
        return reader.observation(of_sets, {})

    def work(self, request: Request) -> Request | None:
        """Name the training; see ``shared_work.SharesWork``."""
        return None if self.trained is None else self.trained.work(request)

    def observe_together(self, contexts: Sequence[LearnerContext]) -> list[Answer]:
        """Train once for all; see ``shared_work.SharesWork``."""
        return observe_trainings(contexts)

    def reader(self, context: LearnerContext, training: Trainer) -> WeightsReader:
        """Return what records self-attention for a request."""
        del training
        return ActivationsOfWeights(context, is_icl=False)

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count whole prompts; GD also trains, and reads its demonstrations."""
        if isinstance(self.of, InContext):
            return reads_whole(sizes)
        work = reads_queries(sizes).observation
        work = work.plus(TokenCount(read=sizes.all_demonstrations))
        if self.trained is None:
            return LearnerCost(observation=work)
        trained = self.trained.cost(sizes, facts)
        limit = None if trained.limit is None else work.plus(trained.limit)
        return LearnerCost(observation=work.plus(trained.observation), limit=limit)

    def needed(self, request: Request) -> list[Request]:
        """List the choice of rate and passes, or the learner that is recorded."""
        if isinstance(self.of, InContext):
            return []
        if self.trained is not None:
            return list(self.trained.needed(request))
        return [replace(request, learner=self.of)]

    def _weights(self, context: LearnerContext) -> Iterator[dict[str, Any]]:
        """Yield the parameters that the learner changes, for each set."""
        learner = self.of
        if isinstance(learner, MovesWeights):
            facts = context.observe(self.of).facts
            yield from learner.trained_weights(context, facts)
        else:
            yield from ({} for _ in range(context.request.n_sets))
