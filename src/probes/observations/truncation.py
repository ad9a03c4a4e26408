"""Truncated answers: how many of a vocabulary's probabilities are stored.

Answers over a small vocabulary are stored whole. Those over a large one keep the
labels' tokens, the likeliest others, and the probability of the rest. Measures of
labels or likeliest tokens stay exact; distances carry a bound (see ``common_support``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALL = 8192
"""The largest vocabulary that is kept whole: 32 KB an answer. Every shipped model has
a smaller one."""
LEAST_KEPT = 256
"""The fewest likeliest tokens kept; measures of first tokens read 10."""
MOST_REST = 0.002
"""The largest mean probability of the rest. The error of a distance is about as large.
The error of the sensitivity to order is largest: √5 times as large with six orders, for
ICL and for GD, which is a third of that claim's margin of .03. Flat answers, such as
those of random weights, would have to keep half of the vocabulary or more. They are
kept whole, which takes no more bytes."""
TRUNCATED_ARRAYS = ("tokens", "token_log_probs", "log_rest", "log_largest")


def truncated(
    log_probs: NDArray[Any], labels: Sequence[int]
) -> dict[str, NDArray[Any]]:
    """Keep the log-probabilities over a vocabulary, or a part of them.

    Args:
        log_probs: Shape (n_sets, n_queries, n_vocab), in nats.
        labels: The labels' tokens, all different.

    Returns:
        Either ``log_probs``, unchanged, or four arrays: ``tokens``, ascending, and
        ``token_log_probs``, both (n_sets, n_queries, n_kept); ``log_rest``, the
        log-probability of all other tokens together, and ``log_largest``, that of the
        likeliest of them, both (n_sets, n_queries).
    """
    n_vocab = log_probs.shape[-1]
    if not is_large(n_vocab):
        return {"log_probs": log_probs}
    rows = log_probs.reshape(-1, n_vocab)
    # An id takes as much as a number: no more than half of the tokens are kept.
    n_likeliest = _n_likeliest(rows, most=(n_vocab - 1) // 2 - len(labels))
    if n_likeliest is None:
        return {"log_probs": log_probs}
    parts = [_split(row, labels, n_likeliest) for row in rows]
    shape = log_probs.shape[:2]
    return {
        name: np.stack(own).reshape(*shape, *own[0].shape)
        for name, own in zip(TRUNCATED_ARRAYS, zip(*parts, strict=True), strict=True)
    }


def is_large(n_vocab: int) -> bool:
    """Whether answers over a vocabulary may be truncated."""
    return n_vocab > SMALL


def _n_likeliest(rows: NDArray[Any], most: int) -> int | None:
    """Count the likeliest tokens that leave a mean rest of ``MOST_REST`` or less.

    Returns:
        None if there are more than ``most``. A few flat rows are enough to know it.
    """
    covered = np.zeros(rows.shape[1])
    for n, row in enumerate(rows, start=1):
        covered += np.sort(np.exp(row.astype(np.float64)))[::-1].cumsum()
        if n - covered[most - 1] > MOST_REST * len(rows) + 1e-9:  # sums are rounded
            return None
    n_short = int((covered / len(rows) < 1 - MOST_REST).sum())
    return max(LEAST_KEPT, n_short + 1)


def _split(
    row: NDArray[Any], labels: Sequence[int], n_likeliest: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Split one answer into known tokens and the rest; of equals, keep lower ids."""
    others = row.copy()
    others[list(labels)] = -np.inf
    place = len(row) - n_likeliest
    least = np.partition(others, place)[place]
    above = np.flatnonzero(others > least)
    level = np.flatnonzero(others == least)[: n_likeliest - len(above)]
    tokens = np.sort(np.concatenate([labels, above, level])).astype(np.int32)
    rest = np.delete(row, tokens).astype(np.float64)
    log_rest = rest.max() + np.log(np.exp(rest - rest.max()).sum())
    return tokens, row[tokens], np.asarray(log_rest), np.asarray(rest.max())
