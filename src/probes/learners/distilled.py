"""An update of the weights that reproduces ICL's answers without demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from probes.cards import ModelCard
from probes.learners.gradient import GradientLearner
from probes.learners.in_context import InContext
from probes.learners.rate_choice import RateChoice
from probes.observations.learner_cost import PromptSizes, TokenCount
from probes.observations.likeliest_tokens import likeliest

if TYPE_CHECKING:
    from probes.data.prompt_encoding import EncodedPrompts
    from probes.data.text_tasks import Example
    from probes.models.training.trainer import Trainer
    from probes.observations.request import Learner, LearnerContext, Request

N_TOKENS = 8
"""Likeliest next tokens of ICL that are learned; together they are scaled to 1."""


@dataclass(frozen=True, kw_only=True)
class Distilled(GradientLearner):
    """Train queries alone towards the answers that ICL gives them.

    Each demonstration set has an update of its own. It learns ICL's distribution over
    the next token after half of the cell's queries, and it sees no demonstration and no
    label. The rate is chosen, as that of GD is, on calibration queries; both halves
    have the same.

    Attributes:
        half: Which queries are learned, by their places: those of another half make
            another update that reproduces the same ICL.
        chosen_on: The model for which the rate is chosen; None is the request's own. A
            network with random weights has next to no ICL by which to choose.

    Reference:
        Mishra et al. 2025, arXiv:2509.22621 (IA2), align activations before they train
        on answers; here the answers alone are learned, in all tokens that matter.
    """

    half: Literal["even", "odd"] = "even"
    chosen_on: ModelCard | None = None

    @property
    def has_no_order(self) -> bool:
        """Whether the order of demonstrations matters; it does to ICL's answers."""
        return False

    @property
    def choice(self) -> Learner:
        """The learner that chooses the rate on calibration queries."""
        one = replace(self, half="even", chosen_on=None, criterion=self.criteria[0])
        return RateChoice(of=one)

    def settings_in(self, context: LearnerContext) -> dict[str, Any]:
        """Give the rate and the passes, and how they were chosen."""
        if self.chosen_on is None or self.rate is not None:
            return super().settings_in(context)
        own = replace(context.request, model=self.chosen_on)
        return dict(
            context.answer(own.of_choice(self.choice)).facts[self.criterion.name]
        )

    def prepare(
        self,
        context: LearnerContext,
        prompts: EncodedPrompts,
        sets: Sequence[Sequence[Example]],
    ) -> Trainer:
        """Set up the training on ICL's answers to the queries of the first sets."""
        import torch

        from probes.models.training.soft_batches import encode_soft_batches
        from probes.models.training.trainer import trainer_for

        request = replace(context.request, learner=InContext(), queries="verdict")
        asked = replace(context, request=request).prompts()
        tokens, log_probs = likeliest(context.answer(request), N_TOKENS)
        learned = slice(0 if self.half == "even" else 1, None, 2)
        batches = encode_soft_batches(
            context.model,
            [asked.alone(queries[learned]) for queries in asked.task.queries][
                : len(sets)
            ],
            torch.as_tensor(tokens[: len(sets), learned]),
            torch.as_tensor(log_probs[: len(sets), learned]),
        )
        return trainer_for(context.model, self.training, batches)

    def needed(self, request: Request) -> list[Request]:
        """List ICL's answers and the choice of the rate."""
        icl = replace(request, learner=InContext(), queries="verdict")
        asked = replace(request, model=self.chosen_on or request.model)
        return [icl, *super().needed(asked)]

    def training_work(
        self, sizes: PromptSizes, n_sets: int, passes: float
    ) -> TokenCount:
        """Count half of the queries as what is learned."""
        n_learned = -(-sizes.n_queries // 2)
        learned = replace(
            sizes,
            n_demonstrations=n_learned,
            demonstration_tokens=n_learned * sizes.query_tokens,
        )
        return super().training_work(learned, n_sets, passes)
