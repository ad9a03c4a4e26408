"""Parallel context windows: each demonstration is a window and sees no other.

Ratner et al. 2022, arXiv:2212.10947, give all windows of context the same positions.
Here every demonstration is a window, so the query attends to them without an order.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from probes.errors import ModelError, NumericsError
from probes.models.architectures import described_architecture
from probes.models.capabilities import missing_capability
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.library_forward import padded
from probes.models.causal_lm.prefix_checks import agree

Tokens = Sequence[int]
LogProbs = NDArray[np.float32]
TOKENS_HELD = 32768
"""Most keys and values per batch of queries: 16 GiB for 7 B weights in bfloat16."""


def log_probs_after(
    model: CausalLM, head: Tokens, windows: Sequence[Tokens], queries: Sequence[Tokens]
) -> LogProbs:
    """Compute next-token log-probabilities after parallel context windows.

    Args:
        model: The loaded model; see :func:`require_given_positions`.
        head: Token ids before the windows; all tokens see them.
        windows: Token ids of each window. Each begins right after the head.
        queries: Token ids of each query, which sees the head and all windows. Its
            positions begin after the longest window.

    Returns:
        Natural logarithms, shape (n_queries, n_vocab), float32.

    Raises:
        ModelError: The model attends to fewer tokens than these.
        NumericsError: The model answered NaN or infinite logits.
    """
    start = len(head) + max(map(len, windows))
    n_seen = len(head) + sum(map(len, windows))
    longest = n_seen + max(map(len, queries))
    _require_full_attention(model, longest)
    size = max(1, TOKENS_HELD // longest)
    with torch.inference_mode():
        cache = _prefill(model, head, windows)
        chunks = [queries[i : i + size] for i in range(0, len(queries), size)]
        last = torch.cat([_answer(model, cache, start, n_seen, c) for c in chunks])
    if not torch.isfinite(last).all():
        raise NumericsError(
            f"The model answered NaN or infinite logits after {len(windows)} parallel "
            f"windows. Expected finite logits. Pass --dtype float32, or check the "
            f"weights."
        )
    log_probs = torch.log_softmax(last.double(), dim=-1).float().cpu()
    return np.asarray(log_probs.numpy(), dtype=np.float32)


WINDOW_SETTINGS = ("sliding_window", "window_size", "attention_chunk_size")
"""Names under which configurations state how many tokens back a layer attends."""


def _require_full_attention(model: CausalLM, n_tokens: int) -> None:
    """Refuse sliding attention: the tokens that it hides depend on the windows' order.

    Raises:
        ModelError: The model attends to fewer tokens than a prompt has.
    """
    config = model.model.config.get_text_config()
    stated = [getattr(config, name, None) for name in WINDOW_SETTINGS]
    windows = [int(window) for window in stated if window]
    if windows and min(windows) < n_tokens:
        raise ModelError(
            f"{type(model.model).__name__} attends to {min(windows)} tokens, and "
            f"parallel windows with a query have {n_tokens}. Expected a model that "
            f"attends to all. Pass smaller --demos, or leave the variant position_free "
            f"out."
        )


def require_given_positions(model: CausalLM) -> None:
    """Refuse a model that does not go by the positions that it is given.

    Nobody lists all that do, so two windows are asked in both orders.

    Raises:
        ModelError: The answer depends on the order, or the model takes no cache.
    """
    architecture = described_architecture(str(model.model.config.model_type))
    config = model.model.config.get_text_config()
    reason = missing_capability("positions", architecture, config)
    if not reason and not model.shares_prefixes:
        reason = "it keeps no keys and values that prompts could share"
    if not reason and not _have_no_order(model):
        reason = "its answer changed with the order of two windows"
    if reason:
        raise ModelError(
            f"{type(model.model).__name__} cannot read demonstrations without an "
            f"order: {reason}. Expected a model whose positions can be given. Leave "
            f"the variant position_free out for this model."
        )


def _have_no_order(model: CausalLM) -> bool:
    """Say whether two windows give the same answer in both orders."""
    n_vocab = model.model.get_input_embeddings().weight.shape[0]
    head, first, second, query = (
        [(7 * token + 1) % n_vocab for token in part]
        for part in (range(1), range(1, 2), range(2, 4), range(4, 5))
    )
    found = []
    with torch.inference_mode():
        for windows in ([first, second], [second, first]):
            cache = _prefill(model, head, windows)
            found.append(_answer(model, cache, len(head) + 2, len(head) + 3, [query]))
    return agree(found[0], found[1], model.model.dtype)


def _answer(
    model: CausalLM, cache: Any, start: int, n_seen: int, queries: Sequence[Tokens]
) -> Tensor:
    """Compute the logits at the end of each query, shape (n_queries, n_vocab)."""
    own = copy.deepcopy(cache)  # a forward pass appends to its cache
    own.batch_repeat_interleave(len(queries))
    ids, lengths = padded(queries, model.device)
    steps = torch.arange(ids.shape[1], device=model.device)
    fits = (steps < lengths[:, None]).long()
    seen = torch.ones(len(queries), n_seen, dtype=torch.long, device=model.device)
    columns = torch.unique(lengths - 1)  # sorted
    logits = model.logits(
        ids,
        columns,
        past_key_values=own,
        attention_mask=torch.cat([seen, fits], dim=1),
        position_ids=(start + steps).expand(len(queries), -1),
    )
    rows = torch.arange(len(queries), device=model.device)
    return logits[rows, torch.searchsorted(columns, lengths - 1)]


def _prefill(model: CausalLM, head: Tokens, windows: Sequence[Tokens]) -> Any:
    """Run head and windows once, and return their keys and values."""
    from transformers import DynamicCache

    cache = DynamicCache(config=model.model.config)
    flat = [*head, *(token for window in windows for token in window)]
    positions = [*range(len(head))]
    for window in windows:
        positions += range(len(head), len(head) + len(window))
    model.logits(
        torch.tensor([flat], device=model.device),
        torch.tensor([0], device=model.device),
        past_key_values=cache,
        attention_mask=_mask(model, len(head), [len(window) for window in windows]),
        position_ids=torch.tensor([positions], device=model.device),
    )
    return cache


def _mask(model: CausalLM, n_head: int, sizes: Sequence[int]) -> Tensor:
    """Write an additive mask: causal, and a window sees only the head and itself."""
    numbers = torch.arange(len(sizes) + 1)  # 0 is the head
    owners = numbers.repeat_interleave(torch.tensor([n_head, *sizes]))
    order = torch.arange(len(owners))
    own = (owners[:, None] == owners) | (owners == 0)
    hidden = ~(own & (order[:, None] >= order))
    dtype = next(model.model.parameters()).dtype
    mask = torch.zeros(hidden.shape, dtype=dtype)
    return mask.masked_fill(hidden, torch.finfo(dtype).min)[None, None].to(model.device)
