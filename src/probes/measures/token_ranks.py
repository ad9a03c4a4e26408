"""Which tokens two learners rank first, and whether the first one is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from probes.errors import ShapeError
from probes.measurement import Array, Measurement
from probes.observations.likeliest_tokens import likeliest, paired
from probes.observations.observation import Observation, require_same_cells

MOST_COMPARED = 10
"""K of Shen et al. 2024, whose vocabulary has 32,000 tokens."""
SHARE_COMPARED = 0.1
"""The largest share of a vocabulary that K may be. K tokens of n_vocab overlap by
K / n_vocab by chance, so chance is a tenth at most: the share of the way from floor to
ceiling that claims of similarity leave open."""


def number_compared(n_vocab: int) -> int:
    """Give K: 10, or a tenth of the vocabulary if that is less; at least 1."""
    return max(1, min(MOST_COMPARED, int(SHARE_COMPARED * n_vocab)))


def accuracy(ours: Observation) -> Measurement:
    """Measure how often the likeliest of all tokens begins a right answer.

    Returns:
        0 or 1 for each set and query; 1 is right.

    Reference:
        Shen et al. 2024, arXiv:2310.08540: top-1 over the whole vocabulary.
    """
    first = likeliest(ours, 1)[0]  # (n_sets, n_queries, 1)
    right = (first == ours.gold_tokens).any(axis=-1)
    return Measurement(
        name="accuracy" if ours.has_labels else "accuracy of the first token",
        values=right.astype(np.float64),
        unit="fraction",
        zero="never right",
        one="always right",
        chance=1 / ours.n_vocab,
    )


def label_accuracy(ours: Observation) -> Measurement:
    """Measure how often the answer is right.

    With closed labels, the likeliest of the labels is the right one. On open tasks,
    greedy decoding over the whole vocabulary gives a right answer and ends it.

    Returns:
        0 or 1 for each set and query; 1 is right. A fraction if answers are averaged.
    """
    return Measurement(
        name="label accuracy" if ours.has_labels else "exact-answer accuracy",
        values=ours.is_right.astype(np.float64),
        unit="fraction",
        zero="never right",
        one="always right",
        chance=_chance(ours),
    )


def _chance(ours: Observation) -> float:
    """Give the share of right answers by chance; no open answer is right by chance."""
    return 1 / len(ours.label_tokens) if ours.has_labels else 0.0


def accuracy_over_numbers(learned: Sequence[Observation]) -> Measurement:
    """Average the accuracy over numbers of demonstrations: the area of the curve.

    Args:
        learned: One learner's answers to the same queries after 1, 2, 4, …
            demonstrations. All numbers count equally, as on a logarithmic axis.

    Returns:
        A fraction for each set and query; 1 is right after every number.

    Raises:
        ShapeError: They answer other queries.
    """
    require_same_cells(*learned)
    right = [label_accuracy(one) for one in learned]
    return replace(
        right[0],
        name=f"{right[0].name} over numbers of demonstrations",
        values=np.mean([one.values for one in right], axis=0),
    )


def gold_probability(ours: Observation) -> Measurement:
    """Measure the probability of a right answer, in [0, 1].

    With closed labels it is that of the right label among the labels; on open tasks
    that of all tokens of a right answer and its end.
    """
    log_probs, right = ours.outcome_log_probs, ours.right_outcome
    chosen = np.take_along_axis(log_probs, right[..., None], axis=-1)
    what = "label" if ours.has_labels else "answer"
    return Measurement(
        name=f"probability of the right {what}",
        values=np.exp(chosen[..., 0]),
        unit="probability",
        zero="certainly wrong",
        one="certainly right",
        chance=_chance(ours),
    )


def token_overlap(
    ours: Observation, theirs: Observation, *, k: int | None = None
) -> Measurement:
    """Measure the share of the k likeliest next tokens that two learners share.

    Args:
        ours: Log-probabilities, shape (n_sets, n_queries, n_vocab).
        theirs: Log-probabilities of another learner for the same cells. Same shape.
        k: Tokens compared for each query, 1 <= k <= n_vocab; None takes
            ``number_compared``.

    Returns:
        A fraction in [0, 1]; 1 means the same k tokens, k / n_vocab is chance.

    Raises:
        ShapeError: The two did not answer the same queries, or k is out of range.

    Reference:
        Shen et al. 2024, arXiv:2310.08540, "token overlap", K = 10. A smaller K where a
        vocabulary has fewer than 100 tokens is ours.
    """
    k = number_compared(ours.n_vocab) if k is None else k
    shared = _first(ours, theirs, k)[-1]
    return Measurement(
        name="token overlap",
        values=shared.sum(axis=-1) / k,
        unit="fraction",
        zero="no token in common",
        one="the same tokens",
        chance=k / ours.n_vocab,
    )


def overlap_similarity(
    ours: Observation, theirs: Observation, *, k: int | None = None
) -> Measurement:
    """Measure the overlap cosine similarity (OCS).

    Σ_O p·q / √(Σ_O p² · Σ_O q² · (K − |O|)) over the tokens O that are among the K
    likeliest of both; the factor K − |O| is dropped if it is 0. The result is 0 if
    O is empty. K is as in :func:`token_overlap`.

    Raises:
        ShapeError: The two did not answer the same queries, or k is out of range.

    Reference:
        Shen et al. 2024, arXiv:2310.08540. The product form is capped at 1/√(K − |O|).
    """
    k = number_compared(ours.n_vocab) if k is None else k
    cosine, shared = _cosine(ours, theirs, k)
    outside = k - shared.sum(axis=-1)
    return Measurement(
        name="overlap cosine similarity",
        values=cosine / np.sqrt(np.maximum(outside, 1)),
        unit="similarity",
        zero="no token in common",
        one="the same tokens and probabilities",
    )


def overlap_cosine(
    ours: Observation, theirs: Observation, *, k: int | None = None
) -> Measurement:
    """Measure the cosine of probabilities on the shared likeliest tokens.

    Returns:
        Σ_O p·q / √(Σ_O p² · Σ_O q²), in [0, 1]; 0 if no token is shared.

    Raises:
        ShapeError: The two did not answer the same queries, or k is out of range.
    """
    k = number_compared(ours.n_vocab) if k is None else k
    return Measurement(
        name="cosine on shared tokens",
        values=_cosine(ours, theirs, k)[0],
        unit="similarity",
        zero="no token in common",
        one="proportional probabilities",
    )


def _cosine(
    ours: Observation, theirs: Observation, k: int
) -> tuple[Array, NDArray[np.bool_]]:
    p, q, shared = _first(ours, theirs, k)
    p, q = np.where(shared, p, -np.inf), np.where(shared, q, -np.inf)
    p = np.exp(p - np.where(shared.any(-1), p.max(-1), 0.0)[..., None])  # scale-free
    q = np.exp(q - np.where(shared.any(-1), q.max(-1), 0.0)[..., None])
    norms = np.sqrt((p**2).sum(-1) * (q**2).sum(-1))
    return (p * q).sum(-1) / np.where(norms > 0, norms, 1.0), shared


def _first(
    ours: Observation, theirs: Observation, k: int
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Give both log-probabilities of tokens, and which are among both first k.

    The tokens are the vocabulary if all of it is kept, else our first k.
    """
    require_same_cells(ours, theirs)
    if not 1 <= k <= ours.n_vocab:
        raise ShapeError(
            f"k is {k}. Expected 1 to {ours.n_vocab}, the size of the vocabulary. Pass "
            f"k={ours.n_vocab} or less."
        )
    if ours.is_whole and theirs.is_whole:
        shared = _are_first(ours, k) & _are_first(theirs, k)
        return ours.log_probs, theirs.log_probs, shared
    return paired(likeliest(ours, k), likeliest(theirs, k))


def _are_first(ours: Observation, k: int) -> NDArray[np.bool_]:
    """Mark the k likeliest tokens; of equals, the lower ids."""
    marked = np.zeros(ours.shape, dtype=bool)
    np.put_along_axis(marked, likeliest(ours, k)[0], True, axis=-1)
    return marked
