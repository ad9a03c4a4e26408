"""Self-attention recorded with the weights that a learner has reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.data.text_tasks import Example
from probes.data.tokenization import common_prefix
from probes.learners.shared_training import Arrays
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.data.prompt_encoding import EncodedPrompts
    from probes.models.causal_lm.attention_hooks import Attention, AttentionRecorder
    from probes.observations.request import LearnerContext


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
        """Pad and stack what was recorded of all sets, and keep how GD was chosen."""
        return Observation(arrays=_stacked(of_sets), facts=dict(chosen))


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
