"""Demonstrations side by side: none sees another, all stand at the same positions.

Ratner et al. 2022, arXiv:2212.10947, give windows of context the same positions; here
every demonstration is a window. No order of them is left in what the query attends to.
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
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.library_forward import padded

Tokens = Sequence[int]
LogProbs = NDArray[np.float32]
TOKENS_HELD = 32768
"""Keys and values of all queries of a batch; on 7 B weights in bfloat16 16 GiB."""


def log_probs_after(
    model: CausalLM, head: Tokens, parts: Sequence[Tokens], asked: Sequence[Tokens]
) -> LogProbs:
    """Compute next-token log-probabilities after parts that stand side by side.

    Args:
        model: The loaded model.
        head: What comes before the parts and is seen by all.
        parts: Token ids of each part; each begins at the position after the head's end.
        asked: Token ids of each query, which sees head and parts; it begins at the
            position after the longest part's end.

    Returns:
        Natural logarithms, shape (n_queries, n_vocab), float32.

    Raises:
        ModelError: The model attends to fewer tokens than these.
        NumericsError: The model answered NaN or infinite logits.
    """
    start = len(head) + max(map(len, parts))
    n_seen = len(head) + sum(map(len, parts))
    longest = n_seen + max(map(len, asked))
    _require_sight(model, longest)
    size = max(1, TOKENS_HELD // longest)
    with torch.inference_mode():
        cache = _prefill(model, head, parts)
        chunks = [asked[i : i + size] for i in range(0, len(asked), size)]
        last = torch.cat([_answer(model, cache, start, n_seen, c) for c in chunks])
    if not torch.isfinite(last).all():
        raise NumericsError(
            f"The model answered NaN or infinite logits after {len(parts)} parts side "
            f"by side. Expected finite logits. Pass --dtype float32, or check the "
            f"weights."
        )
    log_probs = torch.log_softmax(last.double(), dim=-1).float().cpu()
    return np.asarray(log_probs.numpy(), dtype=np.float32)


def _require_sight(model: CausalLM, n_tokens: int) -> None:
    """Refuse a window of attention: what it hides depends on the parts' order.

    Raises:
        ModelError: The window is smaller than a prompt.
    """
    window = getattr(model.model.config.get_text_config(), "sliding_window", None)
    if window is not None and window < n_tokens:
        raise ModelError(
            f"{type(model.model).__name__} attends to {window} tokens, and parts side "
            f"by side with a query are {n_tokens}. Expected a model that attends to "
            f"all. Pass smaller --demos, or leave the variant position_free out."
        )


def _answer(
    model: CausalLM, cache: Any, start: int, n_seen: int, asked: Sequence[Tokens]
) -> Tensor:
    """Give the logits at the end of each query, shape (n_queries, n_vocab)."""
    own = copy.deepcopy(cache)  # a forward pass appends to the cache that it is given
    own.batch_repeat_interleave(len(asked))
    ids, lengths = padded(asked, model.device)
    steps = torch.arange(ids.shape[1], device=model.device)
    fits = (steps < lengths[:, None]).long()
    seen = torch.ones(len(asked), n_seen, dtype=torch.long, device=model.device)
    columns = torch.unique(lengths - 1)  # sorted
    logits = model.logits(
        ids,
        columns,
        past_key_values=own,
        attention_mask=torch.cat([seen, fits], dim=1),
        position_ids=(start + steps).expand(len(asked), -1),
    )
    rows = torch.arange(len(asked), device=model.device)
    return logits[rows, torch.searchsorted(columns, lengths - 1)]


def _prefill(model: CausalLM, head: Tokens, parts: Sequence[Tokens]) -> Any:
    """Run head and parts once, and keep their keys and values."""
    from transformers import DynamicCache

    cache = DynamicCache(config=model.model.config)
    flat = [*head, *(token for part in parts for token in part)]
    places = [*range(len(head))]
    for part in parts:
        places += range(len(head), len(head) + len(part))
    model.logits(
        torch.tensor([flat], device=model.device),
        torch.tensor([0], device=model.device),
        past_key_values=cache,
        attention_mask=_mask(model, len(head), [len(part) for part in parts]),
        position_ids=torch.tensor([places], device=model.device),
    )
    return cache


def _mask(model: CausalLM, n_head: int, sizes: Sequence[int]) -> Tensor:
    """Write an additive mask: causal, and parts see the head and themselves only."""
    numbers = torch.arange(len(sizes) + 1)  # 0 is the head
    owners = numbers.repeat_interleave(torch.tensor([n_head, *sizes]))
    places = torch.arange(len(owners))
    own = (owners[:, None] == owners) | (owners == 0)
    hidden = ~(own & (places[:, None] >= places))
    dtype = next(model.model.parameters()).dtype
    mask = torch.zeros(hidden.shape, dtype=dtype)
    return mask.masked_fill(hidden, torch.finfo(dtype).min)[None, None].to(model.device)
