"""Labelled examples as tensors: what the loss of the label tokens reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from probes.data.text_tasks import Example, TextTask
from probes.data.tokenization import Verbalized, encode_checked
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.frozen_layers import Replay

Batch = tuple[Tensor, ...]


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """The examples of several demonstration sets, each a prompt of its own.

    Attributes:
        ids: Token ids, shape (n_sets, n_examples, n_tokens), padded on the right.
        columns: Sorted positions at which logits are formed, shape (n_columns,).
        reads: Column that predicts each answer token, (n_sets, n_examples, n_answer).
        targets: The answer tokens, same shape.
        shares: Weight of each answer token; an example's sum to 1. Same shape.
        hidden: The input of the lowest layer that is trained, and perhaps its frozen
            projections (see ``LlamaBackend.record``), shape (n_sets, n_examples,
            n_tokens, d); None if the whole model is trained.
    """

    ids: Tensor
    columns: Tensor
    reads: Tensor
    targets: Tensor
    shares: Tensor
    hidden: Tensor | None = None

    @property
    def n_examples(self) -> int:
        """Examples of each set."""
        return int(self.ids.shape[1])

    @property
    def n_tokens(self) -> int:
        """Tokens of the longest example."""
        return int(self.ids.shape[2])

    @cached_property
    def is_shared(self) -> bool:
        """Whether every set has the same examples."""
        return all(
            bool((t == t[:1]).all())
            for t in (self.ids, self.reads, self.targets, self.shares)
        )

    def take(self, sets: Tensor, picked: Tensor | None = None) -> Batch:
        """Choose sets, and examples of each: ids, reads, targets, shares (, hidden).

        Args:
            sets: Indices of sets, shape (n_runs,).
            picked: Indices of examples, shape (n_runs, n_picked); None takes all.
        """
        tensors = [self.ids, self.reads, self.targets, self.shares]
        if self.hidden is not None:
            tensors.append(self.hidden)
        if picked is None:
            return tuple(t[sets] for t in tensors)
        return tuple(t[sets[:, None], picked] for t in tensors)

    def replayed(self, replay: Replay) -> Lessons:
        """Compute once what enters the lowest layer that is trained."""
        return replace(self, hidden=torch.stack([replay.record(i) for i in self.ids]))


def encode_lessons(
    model: CausalLM,
    task: TextTask,
    labels: Verbalized,
    sets: Sequence[Sequence[Example]],
) -> Lessons:
    """Tokenise every example with its answer and pad all to one shape.

    Raises:
        DataError: A prompt with its answer is longer than the model's context.
    """
    answers = [[labels.answers[e.label] for e in shown] for shown in sets]
    width = max(len(a) for given in answers for a in given)
    flat = [e for shown in sets for e in shown]
    prompts = encode_checked(
        model.tokenizer,
        [(task.alone(e), e.where) for e in flat],
        context=model.context,
        room=len(labels.bridge) + width,
    )
    asks = [[*prompt, *labels.bridge] for prompt in prompts]
    given = [answer for row in answers for answer in row]
    longest = max(len(a) + len(b) - 1 for a, b in zip(asks, given, strict=True))
    ids = torch.zeros(len(flat), longest, dtype=torch.long)
    positions = torch.zeros(len(flat), width, dtype=torch.long)
    targets = torch.zeros(len(flat), width, dtype=torch.long)
    shares = torch.zeros(len(flat), width, dtype=torch.float64)
    for row, (ask, answer) in enumerate(zip(asks, given, strict=True)):
        whole = torch.tensor([*ask, *answer])
        ids[row, : len(whole) - 1] = whole[:-1]
        positions[row] = len(ask) - 1  # padding reads the first and weighs nothing
        positions[row, : len(answer)] += torch.arange(len(answer))
        targets[row, : len(answer)] = whole[len(ask) :]
        shares[row, : len(answer)] = 1 / len(answer)
    columns, reads = torch.unique(positions, return_inverse=True)
    shape = (len(sets), len(sets[0]), -1)
    at = model.device
    return Lessons(
        ids=ids.reshape(shape).to(at),
        columns=columns.to(at),
        reads=reads.reshape(shape).to(at),
        targets=targets.reshape(shape).to(at),
        shares=shares.reshape(shape).to(at),
    )
