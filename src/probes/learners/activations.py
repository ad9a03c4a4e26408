"""What happens inside a text model while a learner answers: for claims about updates.

Only what measures read is kept, in float32: self-attention's output at the last token,
the last token's attention to the query, and its attention to the demonstrations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.data.text_tasks import Example
from probes.data.tokenization import common_prefix, verbalize
from probes.learners.encoded_prompts import Texts
from probes.learners.in_context import InContext
from probes.learners.layer_causal import retrained
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.models.causal_lm.attention_hooks import Attention, AttentionRecorder
    from probes.observations.request import LearnerContext

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

    def observe(self, context: LearnerContext) -> Observation:
        """Run every set's prompts whole, with the weights that the learner came to.

        Raises:
            DataError: A prompt is too long or the labels collide.
            ModelError: The model's attention cannot be recorded.
            NumericsError: Training fails.
        """
        from probes.models.causal_lm.attention_hooks import AttentionRecorder

        task, model = context.text_task(), context.model
        texts = Texts(model, task, verbalize(model.tokenizer, task))
        in_context = isinstance(self.of, InContext)
        facts = {} if in_context else context.observe(self.of).facts
        found = []
        for index, weights in enumerate(retrained(context, self.of, facts)):
            with model.tuned(weights), AttentionRecorder(model) as recorder:
                read = _in_context if in_context else _alone
                found.append(read(recorder, texts, index))
        return Observation(arrays=_stacked(found))


def _in_context(
    recorder: AttentionRecorder, texts: Texts, index: int
) -> dict[str, Any]:
    prompts = texts.queries_in_context(index)
    read = recorder.read(prompts)
    spans, owners = texts.spans(index), _owners(texts.task.demonstrations[index])
    places = [p for start, end in spans for p in range(start, end)]
    scores = [found.scores.mean(dim=1)[:, places].numpy() for found in read]
    return {
        **_at_query(read, prompts, texts, index),
        "demonstration_scores": np.stack(scores),
        "owners": np.repeat(owners, [end - start for start, end in spans]),
    }


def _alone(recorder: AttentionRecorder, texts: Texts, index: int) -> dict[str, Any]:
    lessons, prompts = texts.lessons(index), texts.queries(index)
    read = recorder.read(prompts)
    begins = [common_prefix([tokens, texts.head]) for tokens in lessons]
    parts = [
        found.inputs[:, begin:].numpy()
        for found, begin in zip(recorder.read(lessons), begins, strict=True)
    ]
    learned = np.concatenate(parts, axis=1)  # (n_layers, n_tokens, d_model)
    asked = np.stack([found.inputs[:, -1].numpy() for found in read])
    owners = _owners(texts.task.demonstrations[index])
    return {
        **_at_query(read, prompts, texts, index),
        "demonstration_scores": np.einsum("ltd,qld->qlt", learned, asked),
        "owners": np.repeat(owners, [part.shape[1] for part in parts]),
    }


def _at_query(
    read: list[Attention], prompts: list[list[int]], texts: Texts, index: int
) -> dict[str, Any]:
    """Gather outputs, and maps of the query's own tokens."""
    pairs = zip(texts.queries(index), prompts, strict=True)
    lengths = [texts.query_length(alone, prompt) for alone, prompt in pairs]
    maps = [
        found.scores[..., found.scores.shape[-1] - n :].numpy()
        for found, n in zip(read, lengths, strict=True)
    ]
    return {
        "outputs": np.stack([found.outputs.numpy() for found in read]),
        "maps": _padded(maps, left=True),
        "query_lengths": np.array(lengths),
    }


def _owners(shown: Sequence[Example]) -> list[int]:
    """Give demonstrations numbers by where they come from, in any order."""
    ranked = sorted(range(len(shown)), key=lambda i: shown[i].where)
    return [ranked.index(i) for i in range(len(shown))]


def _stacked(found: list[dict[str, Any]]) -> dict[str, Any]:
    arrays = {
        name: np.stack([part[name] for part in found])
        for name in ("outputs", "query_lengths")
    }
    arrays["maps"] = _padded([part["maps"] for part in found], left=True)
    scores = [part["demonstration_scores"] for part in found]
    arrays["demonstration_scores"] = _padded(scores)
    owners = [part["owners"] for part in found]
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
