"""Activation patching: read hidden states at the last token, or replace one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.hooks import Act, Visit, hooked
from probes.models.causal_lm.library_forward import in_batches, padded

States = NDArray[np.float32]
LogProbs = NDArray[np.float32]
Form = Literal["replaced", "added"]


def states_at_the_end(model: CausalLM, prompts: Sequence[Sequence[int]]) -> States:
    """Read the residual stream after every layer at each prompt's last token.

    Returns:
        Shape (n_prompts, n_layers, d_model), float32.
    """
    states: list[Tensor] = []
    ids, lengths = padded(prompts, model.device)
    rows, last = torch.arange(len(ids), device=model.device), lengths - 1

    def keep(visit: Visit) -> None:
        states.append(visit.tensor[rows, last])

    with torch.inference_mode(), hooked(model.model, "layer_output", keep):
        model.logits(ids, torch.tensor([0], device=model.device))
    stacked = torch.stack(states, dim=1)
    return np.asarray(stacked.float().cpu().numpy(), dtype=np.float32)


def log_probs_with(
    model: CausalLM,
    prompts: Sequence[Sequence[int]],
    layer: int,
    state: States,
    *,
    form: Form,
    n_after: Sequence[int] | None = None,
) -> LogProbs:
    """Answer prompts while one token's hidden state after a layer is patched.

    Args:
        model: The loaded model.
        prompts: Token ids, at least one token each.
        layer: From 0.
        state: Shape (d_model,).
        form: "replaced" replaces the token's own state, "added" adds to it.
        n_after: Tokens of each prompt that come after the patched one; None patches
            the last tokens.

    Returns:
        Natural logarithms, shape (n_prompts, n_vocab), float32.
    """
    answers, after = [], torch.tensor(n_after or [0] * len(prompts))
    for batch in in_batches(prompts):
        ids, lengths = padded(batch, model.device)
        last = lengths - 1
        columns = torch.unique(last)  # sorted
        own, after = after[: len(batch)], after[len(batch) :]
        patch = _patch_at(last - own.to(last), state, form)
        with (
            torch.inference_mode(),
            hooked(model.model, "layer_output", patch, layers=[layer]),
        ):
            logits = model.logits(ids, columns)
        rows = torch.arange(len(ids), device=model.device)
        answers.append(logits[rows, torch.searchsorted(columns, last)])
    log_probs = torch.log_softmax(torch.cat(answers).double(), dim=-1)
    return np.asarray(log_probs.float().cpu().numpy(), dtype=np.float32)


def _patch_at(at: Tensor, state: States, form: Form) -> Act:
    """Make the act that patches each prompt's token at ``at`` (n_prompts,)."""

    def patch(visit: Visit) -> Tensor:
        rows = torch.arange(len(at), device=at.device)
        hidden = visit.tensor.clone()
        given = torch.from_numpy(state).to(hidden)
        hidden[rows, at] = given if form == "replaced" else hidden[rows, at] + given
        return hidden

    return patch
