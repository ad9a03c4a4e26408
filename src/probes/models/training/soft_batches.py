"""Prompts whose answers are distributions over tokens, as tensors to train on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.training.label_batches import LabelBatches


def encode_soft_batches(
    model: CausalLM,
    sets: Sequence[Sequence[Sequence[int]]],
    tokens: Tensor,
    log_probs: Tensor,
) -> LabelBatches:
    """Pad prompts to one shape, and let each learn several next tokens at once.

    The loss of an example is the cross-entropy between the given probabilities of its
    next tokens, scaled to sum to 1, and the model's.

    Args:
        model: The loaded model; its device holds the tensors.
        sets: Token ids of prompts, the same number in each set.
        tokens: Next tokens, shape (n_sets, n_examples, n_tokens).
        log_probs: Their log-probabilities, in nats; same shape.
    """
    prompts = [torch.tensor(prompt) for examples in sets for prompt in examples]
    ids = torch.nn.utils.rnn.pad_sequence(prompts, batch_first=True)
    last = torch.tensor([len(prompt) - 1 for prompt in prompts])
    columns, reads = torch.unique(last, return_inverse=True)
    shape, at = tokens.shape[:2], model.device
    return LabelBatches(
        ids=ids.reshape(*shape, -1).to(at),
        columns=columns.to(at),
        reads=reads.reshape(*shape, 1).expand_as(tokens).contiguous().to(at),
        targets=tokens.to(at),
        shares=torch.softmax(log_probs.double(), dim=-1).to(at),
    )
