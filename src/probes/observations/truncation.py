"""Truncated answers: how many of a vocabulary's probabilities are stored.

Answers over a small vocabulary are stored whole. An answer over a large one keeps

- the labels, the right answer's tokens and the ``N_EXACT`` likeliest others, exactly;
- other tokens, the more likely, the more surely: those of probability t or more, of
  sample 1 (see ``token_samples``) those of t/2 or more, of sample 2 those of t/4 or
  more, and so on. The threshold t is such that their number is fixed;
- every token of the smallest sample.

Measures of labels or likeliest tokens stay exact. Sums over the vocabulary, such as
distances, are estimated with a standard error (see ``token_sums``). An answer takes
``N_BYTES`` at most, whether it is flat or sharp.

Reference: the design is Poisson sampling with permanent random numbers (Brewer, Early
and Joyce 1972), of which the largest priorities are kept (Duffield, Lund and Thorup
2007), in nested samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.measurement import Array
from probes.observations.packed_numbers import (
    LARGEST_CODE,
    STEP,
    pack_codes,
    pack_ids,
    unpack_codes,
    unpack_ids,
)
from probes.observations.token_samples import last_level, levels, smallest_sample

if TYPE_CHECKING:
    from probes.observations.observation import Observation

SMALL = 8192
"""The largest vocabulary that is kept whole: 32 KB an answer. Every shipped model has
a smaller one."""
N_EXACT = 64
"""Likeliest tokens that are kept exactly; measures of first tokens read 10."""
N_BYTES = 4950
"""Bytes of an answer: ten sets of forty queries take two megabytes."""
LOWEST = -25.0
"""Log-probabilities below are kept as this one: a vocabulary of such tokens has a
probability of less than a hundred-thousandth."""

Ints = NDArray[Any]


def is_large(n_vocab: int) -> bool:
    """Whether answers over a vocabulary are truncated."""
    return n_vocab > SMALL


def truncated(
    log_probs: NDArray[Any],
    labels: Sequence[int],
    *,
    gold_tokens: Ints | None = None,
    first_set: int = 0,
) -> dict[str, NDArray[Any]]:
    """Keep the log-probabilities over a vocabulary, or a part of them.

    Args:
        log_probs: Shape (n_sets, n_queries, n_vocab), in nats, normalized. A tensor of
            torch on the CPU is read without a copy.
        labels: The labels' tokens, all different.
        gold_tokens: Further tokens to keep exactly, shape (n_sets, n_queries, k).
        first_set: Index in the cell of the first of these sets. Learners are
            comparable only if it is the same for all.

    Returns:
        Either ``log_probs``, unchanged, or, each with the axes (n_sets, n_queries, …):
        ``exact_tokens``, ascending, and ``exact_log_probs``; ``sampled_ids`` and
        ``sampled_codes``, packed; ``code_range``, the log-probability of code 0 and the
        step; ``log_threshold``; and ``places``, which number the answers.
    """
    n_vocab = log_probs.shape[-1]
    if not is_large(n_vocab):
        return {"log_probs": log_probs}
    shape = log_probs.shape[:2]
    if gold_tokens is None:
        gold_tokens = np.empty((*shape, 0), dtype=np.int64)
    parts = []
    for s, q in np.ndindex(shape):
        named = np.unique(np.concatenate([np.asarray(labels), gold_tokens[s, q]]))
        n_exact = N_EXACT + len(labels) + gold_tokens.shape[-1]
        place = (first_set + s) << 16 | q
        row = np.asarray(log_probs[s, q], dtype=np.float32)
        parts.append(_truncated(row, named.astype(np.int64), n_exact, place))
    return {name: _padded([part[name] for part in parts], shape) for name in parts[0]}


def n_sampled(n_vocab: int, n_exact: int) -> int:
    """Count the tokens that are kept because they are likely, beside the exact ones."""
    smallest = n_vocab / (1 << last_level(n_vocab))
    smallest += 4 * np.sqrt(smallest)  # its size is random
    left = N_BYTES - 8 * n_exact - n_vocab // STEP - 24 - 1.5 * smallest
    return int(min(left / 2.5, n_vocab - n_exact - smallest - 1))


def _truncated(
    row: NDArray[np.float32], named: Ints, n_exact: int, place: int
) -> dict[str, NDArray[Any]]:
    """Truncate one answer; of equally likely tokens, keep lower ids."""
    n_vocab = len(row)
    others = row.copy()
    others[named] = -np.inf
    exact = np.sort(np.concatenate([named, _largest(others, n_exact - len(named))]))
    smallest = smallest_sample(n_vocab, place)
    priorities = others
    priorities += levels(np.arange(n_vocab), n_vocab, place) * np.float32(np.log(2))
    priorities[exact] = priorities[smallest] = -np.inf
    n = n_sampled(n_vocab, n_exact)
    largest = _largest(priorities, n + 1)
    least = largest[priorities[largest].argmin()]
    sampled = np.sort(largest[largest != least])
    coded = np.maximum(row[np.concatenate([sampled, smallest])], LOWEST)
    lowest = coded.min()
    step = np.float32(max(coded.max() - lowest, 1e-6) / LARGEST_CODE)
    return {
        "exact_tokens": exact.astype(np.int32),
        "exact_log_probs": row[exact],
        "sampled_ids": pack_ids(sampled, n + n_vocab // STEP),
        "sampled_codes": pack_codes(np.rint((coded - lowest) / step)),
        "code_range": np.array([lowest, step], dtype=np.float32),
        "log_threshold": priorities[least],
        "places": np.uint32(place),
    }


def _largest(values: NDArray[np.float32], n: int) -> Ints:
    """Find the places of the n largest values; of equals, the lower places."""
    if n <= 0:
        return np.empty(0, dtype=np.int64)
    least = np.partition(values, len(values) - n)[len(values) - n]
    above = np.flatnonzero(values > least)
    return np.append(above, np.flatnonzero(values == least)[: n - len(above)])


def _padded(rows: list[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Stack rows; only the codes of the smallest samples differ in number."""
    width = max(np.size(row) for row in rows)
    if np.ndim(rows[0]):
        rows = [np.pad(row, (0, width - len(row))) for row in rows]
    return np.stack(rows).reshape(*shape, *np.shape(rows[0]))


@dataclass(frozen=True, kw_only=True)
class KeptTokens:
    """What is kept of one answer.

    Attributes:
        tokens: Exact tokens, then sampled ones, then the smallest sample. A token may
            be in the first and the last.
        log_probs: Their log-probabilities.
        n_exact: How many are exact.
        n_sampled: How many follow that are sampled.
        log_threshold: The logarithm of t.
        place: The answer's number in its cell.
    """

    tokens: Ints
    log_probs: Array
    n_exact: int
    n_sampled: int
    log_threshold: float
    place: int


def kept_tokens(answered: Observation, s: int, q: int) -> KeptTokens:
    """Unpack what is kept of the answer to one query after one set."""
    exact, place = answered["exact_tokens"][s, q], int(answered["places"][s, q])
    sampled = unpack_ids(answered["sampled_ids"][s, q])
    smallest = smallest_sample(answered.n_vocab, place)
    n = len(sampled) + len(smallest)
    lowest, step = answered["code_range"][s, q].astype(np.float64)
    coded = lowest + step * unpack_codes(answered["sampled_codes"][s, q], n)
    return KeptTokens(
        tokens=np.concatenate([exact, sampled, smallest]),
        log_probs=np.concatenate([answered["exact_log_probs"][s, q], coded]),
        n_exact=len(exact),
        n_sampled=len(sampled),
        log_threshold=float(answered["log_threshold"][s, q]),
        place=place,
    )
