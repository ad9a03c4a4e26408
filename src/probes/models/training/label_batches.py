"""Labelled examples as tensors, from which the loss of the label tokens is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from probes.data.prompt_encoding import EncodedPrompts
from probes.data.text_tasks import Example
from probes.errors import DataError
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.frozen_layers import FrozenLayers

Batch = tuple[Tensor, ...]


@dataclass(frozen=True, kw_only=True)
class LabelBatches:
    """The examples of several demonstration sets, each a prompt of its own.

    Attributes:
        ids: Token ids, shape (n_sets, n_examples, n_tokens), padded on the right.
        columns: Sorted positions at which logits are formed, shape (n_columns,).
        reads: Column that predicts each answer token, (n_sets, n_examples, n_answer).
        targets: The answer tokens, same shape.
        shares: Weight of each answer token, same shape. An example's sum to 1; where
            whole answers are scored each is 1, so the loss is −log p of the answer.
        hidden: The input of the lowest layer that is trained, and perhaps its frozen
            projections (see ``LlamaBackend.record``), shape (n_sets, n_examples,
            n_tokens, d); None if the whole model is trained.
        candidates: The only tokens that share the probabilities of the loss, shape
            (n_candidates,); None is the whole vocabulary.
    """

    ids: Tensor
    columns: Tensor
    reads: Tensor
    targets: Tensor
    shares: Tensor
    hidden: Tensor | None = None
    candidates: Tensor | None = None

    @property
    def n_examples(self) -> int:
        """Examples of each set."""
        return int(self.ids.shape[1])

    @property
    def n_tokens(self) -> int:
        """Tokens of the longest example."""
        return int(self.ids.shape[2])

    def take(self, sets: Tensor, picked: Tensor | None = None) -> Batch:
        """Pick sets and examples: ids, reads, targets, shares (, hidden).

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

    def replayed(self, replay: FrozenLayers) -> LabelBatches:
        """Compute the inputs of the lowest trained layer once for all steps."""
        return replace(self, hidden=torch.stack([replay.record(i) for i in self.ids]))


def encode_label_batches(
    model: CausalLM,
    prompts: EncodedPrompts,
    sets: Sequence[Sequence[Example]],
    *,
    after: Literal["nothing", "the others"] = "nothing",
    among: Literal["vocabulary", "label words"] = "vocabulary",
) -> LabelBatches:
    """Encode every example with its answer and pad all to one shape.

    On open tasks this is the answer that demonstrations show.

    Args:
        model: The loaded model; its device holds the tensors.
        prompts: The prompts of the task from which the examples come.
        sets: Examples, the same number in each set.
        after: What stands before an example in its prompt: nothing, or the other
            examples of its set in their order.
        among: Which tokens share the probabilities of the loss. Among label words, the
            loss is that of the first token of the label, which tells labels apart.

    Raises:
        DataError: A prompt with its answer is longer than the model's context. Or the
            loss is among label words, and first tokens do not tell the labels apart.
    """
    if after == "the others":
        pairs = [p for shown in sets for p in prompts.with_targets_after_others(shown)]
    else:
        pairs = prompts.with_targets([e for examples in sets for e in examples])
    candidates = None
    if among == "label words":
        candidates = torch.tensor(_label_words(prompts), device=model.device)
        pairs = [(prompt, answer[:1]) for prompt, answer in pairs]
    ids, positions, targets, shares = _padded(pairs)
    if prompts.labels.scores_whole:
        shares = (shares > 0).to(shares)
    columns, reads = torch.unique(positions, return_inverse=True)
    shape = (len(sets), len(sets[0]), -1)
    at = model.device
    return LabelBatches(
        ids=ids.reshape(shape).to(at),
        columns=columns.to(at),
        reads=reads.reshape(shape).to(at),
        targets=targets.reshape(shape).to(at),
        shares=shares.reshape(shape).to(at),
        candidates=candidates,
    )


def log_probs_among(logits: Tensor, candidates: Tensor | None) -> Tensor:
    """Turn logits into log-probabilities, which only some tokens may share.

    Args:
        logits: Shape (…, n_vocab).
        candidates: See :class:`LabelBatches`.

    Returns:
        Log-probabilities in nats, same shape; −∞ for tokens that are no candidates.
    """
    if candidates is not None:
        others = torch.ones(logits.shape[-1], dtype=torch.bool, device=logits.device)
        others[candidates] = False
        logits = logits.masked_fill(others, -torch.inf)
    return torch.log_softmax(logits, dim=-1)


def _label_words(prompts: EncodedPrompts) -> list[int]:
    """List the first token of every label.

    Raises:
        DataError: The answers are open, or labels begin with the same token.
    """
    if prompts.task.is_open or prompts.labels.scores_whole:
        why = "the answers are open" if prompts.task.is_open else "labels begin alike"
        raise DataError(
            f"A loss among the label words was asked for, but {why}. Expected a closed "
            f"set of labels, each with a first token of its own. Choose other words in "
            f"[verbalizer], or leave out the variant gd_label_words."
        )
    return prompts.labels.first_tokens


def _padded(pairs: Sequence[tuple[list[int], tuple[int, ...]]]) -> Batch:
    """Pad prompts with their answers: ids, answer positions, targets and shares."""
    longest = max(len(prompt) + len(answer) - 1 for prompt, answer in pairs)
    width = max(len(answer) for _, answer in pairs)
    ids = torch.zeros(len(pairs), longest, dtype=torch.long)
    positions = torch.zeros(len(pairs), width, dtype=torch.long)
    targets = torch.zeros(len(pairs), width, dtype=torch.long)
    shares = torch.zeros(len(pairs), width, dtype=torch.float64)
    for row, (prompt, answer) in enumerate(pairs):
        whole = torch.tensor([*prompt, *answer])
        ids[row, : len(whole) - 1] = whole[:-1]
        positions[row] = len(prompt) - 1  # padding reads the first and weighs nothing
        positions[row, : len(answer)] += torch.arange(len(answer))
        targets[row, : len(answer)] = whole[len(prompt) :]
        shares[row, : len(answer)] = 1 / len(answer)
    return ids, positions, targets, shares
