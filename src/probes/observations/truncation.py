"""What is kept of answers over a vocabulary.

Of a small vocabulary everything. Of a large one the labels' tokens, the likeliest
others, and how much the rest has: what reads labels or the first tokens is exact then,
and distances carry a bound (see ``outcome_space``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALL = 8192
"""Tokens up to which a vocabulary is kept whole: 32 KB an answer, and no shipped model
has as many."""
LEAST_KEPT = 256
"""Likeliest tokens kept at the least: measures of first tokens read 10."""
MOST_REST = 0.002
"""Mean mass of the rest up to which tokens are left out. The sensitivity to order is
what a rest hides most of: of six orders √5 times it, for ICL and for GD, which is a
third of that claim's margin of .03; of distances it hides about itself. Flat answers,
such as those of random weights, would need half of the vocabulary or more: they are
kept whole, which takes no more bytes."""
PARTS = ("tokens", "token_log_probs", "log_rest", "log_largest")


def kept(log_probs: NDArray[Any], labels: Sequence[int]) -> dict[str, NDArray[Any]]:
    """Choose what is kept of log-probabilities over a vocabulary.

    Args:
        log_probs: Shape (n_sets, n_queries, n_vocab), in nats.
        labels: The labels' tokens, which differ.

    Returns:
        ``log_probs`` as they are; or ``tokens``, ascending, and ``token_log_probs``,
        both (n_sets, n_queries, n_kept), and (n_sets, n_queries) each: ``log_rest``,
        the logarithm of what all others have, and ``log_largest``, of what the
        likeliest of them has.
    """
    n_vocab = log_probs.shape[-1]
    if not is_large(n_vocab):
        return {"log_probs": log_probs}
    rows = log_probs.reshape(-1, n_vocab)
    # An id takes as much as a number: no more than half of the tokens are kept.
    n_likeliest = _n_likeliest(rows, most=(n_vocab - 1) // 2 - len(labels))
    if n_likeliest is None:
        return {"log_probs": log_probs}
    parts = [_parted(row, labels, n_likeliest) for row in rows]
    shape = log_probs.shape[:2]
    return {
        name: np.stack(own).reshape(*shape, *own[0].shape)
        for name, own in zip(PARTS, zip(*parts, strict=True), strict=True)
    }


def is_large(n_vocab: int) -> bool:
    """Whether answers over a vocabulary may be kept in part."""
    return n_vocab > SMALL


def _n_likeliest(rows: NDArray[Any], most: int) -> int | None:
    """Count the likeliest tokens that leave a mean rest of ``MOST_REST`` or less.

    Returns:
        None if they are more than ``most``; a few flat rows tell so.
    """
    covered = np.zeros(rows.shape[1])
    for n, row in enumerate(rows, start=1):
        covered += np.sort(np.exp(row.astype(np.float64)))[::-1].cumsum()
        if n - covered[most - 1] > MOST_REST * len(rows) + 1e-9:  # sums are rounded
            return None
    n_short = int((covered / len(rows) < 1 - MOST_REST).sum())
    return max(LEAST_KEPT, n_short + 1)


def _parted(
    row: NDArray[Any], labels: Sequence[int], n_likeliest: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Part one answer into known tokens and the rest; of equals, keep lower ids."""
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
