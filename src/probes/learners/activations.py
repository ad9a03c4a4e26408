"""Self-attention inside a text model while a learner answers: for claims about updates.

An observation keeps the parts that measures read, in float32: self-attention's output
at the last token, the last token's attention to the query, and its attention to the
demonstrations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from probes.data.text_tasks import Example
from probes.data.tokenization import common_prefix
from probes.learners.gradient import GradientLearner, MovesWeights
from probes.learners.in_context import InContext, reads_queries, reads_whole
from probes.learners.shared_training import (
    Arrays,
    WeightsReader,
    observe_training,
    observe_trainings,
)
from probes.observations.learner_cost import LearnerCost, PromptSizes, TokenCount
from probes.observations.observation import Observation
from probes.observations.shared_work import Answer

if TYPE_CHECKING:
    from probes.data.prompt_encoding import EncodedPrompts
    from probes.models.causal_lm.attention_hooks import Attention, AttentionRecorder
    from probes.models.training.trainer import Trainer
    from probes.observations.request import LearnerContext, Request

Floats = NDArray[np.float32]


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
    def trained(self) -> GradientLearner | None:
        """The learner that trains; None if the learner's weights do not move."""
        return self.of if isinstance(self.of, GradientLearner) else None

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
            return self.trained.needed(request)
        return [replace(request, learner=self.of)]

    def _weights(self, context: LearnerContext) -> Iterator[dict[str, Any]]:
        """Yield the parameters that the learner changes, for each set."""
        learner = self.of
        if isinstance(learner, MovesWeights):
            facts = context.observe(self.of).facts
            yield from learner.trained_weights(context, facts)
        else:
            yield from ({} for _ in range(context.request.settings.n_sets))


class ActivationsOfWeights:
    """Records self-attention with the weights of every set (a ``WeightsReader``).

    Args:
        context: A request to :class:`Activations`.
        is_icl: Whether the prompts hold the demonstrations.
    """

    def __init__(self, context: LearnerContext, *, is_icl: bool) -> None:
        self.model = context.model
        self.prompts = context.prompts().with_room_for_answers()
        self._record = _in_context if is_icl else _alone

    def read(self, weights: Mapping[str, Any], sets: Sequence[int]) -> list[Arrays]:
        """Record the prompts of some sets, each with its own weights."""
        return [
            self.read_set({name: w[place] for name, w in weights.items()}, index)
            for place, index in enumerate(sets)
        ]

    def read_set(self, weights: Mapping[str, Any], index: int) -> Arrays:
        """Record the prompts of one set."""
        from probes.models.causal_lm.attention_hooks import AttentionRecorder

        with self.model.tuned(weights), AttentionRecorder(self.model) as recorder:
            return self._record(recorder, self.prompts, index)

    def observation(
        self, of_sets: Sequence[Arrays], chosen: Mapping[str, Any]
    ) -> Observation:
        """Pad and stack what was recorded of all sets."""
        del chosen
        return Observation(arrays=_stacked(of_sets))


def _in_context(
    recorder: AttentionRecorder, prompts: EncodedPrompts, index: int
) -> dict[str, Any]:
    encoded = prompts.in_context(index)
    recorded = recorder.read(encoded)
    spans = prompts.demonstration_spans(index)
    owners = _owners(prompts.task.demonstrations[index])
    places = [p for start, end in spans for p in range(start, end)]
    scores = [read.scores.mean(dim=1)[:, places].numpy() for read in recorded]
    return {
        **_at_query(recorded, encoded, prompts, index),
        "demonstration_scores": np.stack(scores),
        "owners": np.repeat(owners, [end - start for start, end in spans]),
    }


def _alone(
    recorder: AttentionRecorder, prompts: EncodedPrompts, index: int
) -> dict[str, Any]:
    examples = prompts.task.demonstrations[index]
    demonstrations = [[*ask, *answer] for ask, answer in prompts.with_answers(examples)]
    encoded = prompts.alone(prompts.task.queries[index])
    recorded = recorder.read(encoded)
    begins = [common_prefix([tokens, prompts.head]) for tokens in demonstrations]
    parts = [
        read.inputs[:, begin:].numpy()
        for read, begin in zip(recorder.read(demonstrations), begins, strict=True)
    ]
    learned = np.concatenate(parts, axis=1)  # (n_layers, n_tokens, d_model)
    at_query = np.stack([read.inputs[:, -1].numpy() for read in recorded])
    owners = _owners(examples)
    return {
        **_at_query(recorded, encoded, prompts, index),
        "demonstration_scores": np.einsum("ltd,qld->qlt", learned, at_query),
        "owners": np.repeat(owners, [part.shape[1] for part in parts]),
    }


def _at_query(
    recorded: list[Attention],
    encoded: list[list[int]],
    prompts: EncodedPrompts,
    index: int,
) -> dict[str, Any]:
    """Gather outputs, and maps of the query's own tokens."""
    alone = prompts.alone(prompts.task.queries[index])
    pairs = zip(alone, encoded, strict=True)
    lengths = [prompts.query_length(*pair) for pair in pairs]
    maps = [
        read.scores[..., read.scores.shape[-1] - n :].numpy()
        for read, n in zip(recorded, lengths, strict=True)
    ]
    return {
        "outputs": np.stack([read.outputs.numpy() for read in recorded]),
        "maps": _padded(maps, left=True),
        "query_lengths": np.array(lengths),
    }


def _owners(shown: Sequence[Example]) -> list[int]:
    """Give demonstrations numbers by where they come from, in any order."""
    ranked = sorted(range(len(shown)), key=lambda i: shown[i].where)
    return [ranked.index(i) for i in range(len(shown))]


def _stacked(of_sets: Sequence[Arrays]) -> dict[str, Any]:
    arrays = {
        name: np.stack([part[name] for part in of_sets])
        for name in ("outputs", "query_lengths")
    }
    arrays["maps"] = _padded([part["maps"] for part in of_sets], left=True)
    scores = [part["demonstration_scores"] for part in of_sets]
    arrays["demonstration_scores"] = _padded(scores)
    owners = [part["owners"] for part in of_sets]
    arrays["owners"] = _padded(owners, fill=-1)
    return arrays


def _padded(parts: list[Any], *, left: bool = False, fill: int = 0) -> Any:
    """Stack arrays whose last axes differ, filling the shorter ones."""
    width = max(part.shape[-1] for part in parts)

    def widen(part: Any) -> Any:
        gap = width - part.shape[-1]
        last = (gap, 0) if left else (0, gap)
        return np.pad(part, [(0, 0)] * (part.ndim - 1) + [last], constant_values=fill)

    return np.stack([widen(part) for part in parts])
