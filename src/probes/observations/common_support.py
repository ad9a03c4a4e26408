"""Answers of several learners on one set of outcomes, so that they can be compared.

The outcomes of whole answers are the vocabulary. The outcomes of truncated answers are
the tokens that any learner knows, and one more: the rest. If a token that one learner
knows lies in another's rest, the other's probability is unknown and counts as 0. The
rests bound the error (see ``measures.bounds``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.errors import ShapeError
from probes.measurement import Array, Measurement
from probes.observations.observation import Observation, require_same_cells

UNKNOWN = -1e4
"""Log-probability of an unknown token: its exponential is 0, differences are finite."""
FILL = np.iinfo(np.int32).max
"""Fills the rows of answers that know fewer tokens than others."""


@dataclass(frozen=True, kw_only=True)
class CommonSupport:
    """Answers of several learners on one set of outcomes.

    Attributes:
        log_probs: For each learner (n_sets, n_queries, n_outcomes). The outcomes are
            the vocabulary, or tokens and last the rest; the value of a token in the
            learner's rest is ``UNKNOWN``.
        rests: For each learner the probability of its rest, (n_sets, n_queries).
        largest: For each learner the probability that no token of its rest exceeds.
        is_whole: Whether every answer is whole.
        tokens: Shape (n_sets, n_queries, n_outcomes − 1), ascending, then ``FILL``;
            None if they are the vocabulary.
    """

    log_probs: tuple[Array, ...]
    rests: tuple[Array, ...]
    largest: tuple[Array, ...]
    is_whole: bool
    tokens: NDArray[Any] | None = None

    @property
    def known(self) -> tuple[Array, ...]:
        """The log-probabilities without the rest."""
        end = None if self.is_whole else -1
        return tuple(own[..., :end] for own in self.log_probs)

    def bounded(
        self, measured: Measurement, *, below: Array, above: Array
    ) -> Measurement:
        """Bound a quantity that is never negative.

        Args:
            measured: The quantity on this support.
            below: How far the truth may lie below it.
            above: How far the truth may lie above it.
        """
        if self.is_whole:
            return measured
        least = np.maximum(measured.values - below, 0.0)
        return replace(measured, least=least, most=measured.values + above)


def on_common_support(*answered: Observation) -> CommonSupport:
    """Put answers to the same queries on one set of outcomes.

    Raises:
        ShapeError: They did not answer the same queries.
    """
    require_same_cells(*answered)
    shape = answered[0].shape[:2]
    rests, largest = (
        tuple(_mass(one, name, shape) for one in answered)
        for name in ("log_rest", "log_largest")
    )
    if all(one.is_whole for one in answered):
        logs = tuple(one.log_probs for one in answered)
        return CommonSupport(
            log_probs=logs, rests=rests, largest=largest, is_whole=True
        )
    tokens = _known_of_any(answered)
    tables = tuple(_laid_out(one, tokens) for one in answered)
    return CommonSupport(
        log_probs=tables, rests=rests, largest=largest, is_whole=False, tokens=tokens
    )


def _mass(one: Observation, name: str, shape: tuple[int, ...]) -> Array:
    return np.zeros(shape) if one.is_whole else np.exp(one[name].astype(np.float64))


def _known_of_any(answered: Sequence[Observation]) -> NDArray[Any] | None:
    """List the tokens that any learner knows; None for the vocabulary."""
    if any(one.is_whole for one in answered):
        return None
    ids = np.concatenate([one["tokens"] for one in answered], axis=-1)
    rows = [np.unique(row) for row in ids.reshape(-1, ids.shape[-1])]
    width = max(map(len, rows))
    table = np.full((len(rows), width), FILL, dtype=np.int32)
    for row, into in zip(rows, table, strict=True):
        into[: len(row)] = row
    return table.reshape(*ids.shape[:2], width)


def _laid_out(one: Observation, tokens: NDArray[Any] | None) -> Array:
    """Spread an answer over the tokens and the rest."""
    n_outcomes = one.n_vocab if tokens is None else tokens.shape[-1]
    table = np.full((*one.shape[:2], n_outcomes + 1), UNKNOWN)
    if one.is_whole:
        table[..., :-1] = one.log_probs
        return table
    for place in np.ndindex(one.shape[:2]):
        own = one["tokens"][place]
        own = own[own < FILL]
        at = own if tokens is None else np.searchsorted(tokens[place], own)
        table[place][at] = one["token_log_probs"][place][: len(own)]
    table[..., -1] = one["log_rest"]
    return table


def likeliest(answered: Observation, k: int) -> tuple[NDArray[Any], Array]:
    """List the k likeliest tokens, likeliest first; of equals, lower ids first.

    Returns:
        Tokens and log-probabilities, both (n_sets, n_queries, k).

    Raises:
        ShapeError: The answers are truncated, and fewer than k are known for certain.
    """
    if answered.is_whole:
        stored = answered["log_probs"]
        ranked = np.argsort(-stored, axis=-1, kind="stable")[..., :k]
        return ranked, np.take_along_axis(stored, ranked, axis=-1).astype(np.float64)
    stored = answered["token_log_probs"].astype(np.float64)
    ranked = np.argsort(-stored, axis=-1, kind="stable")[..., :k]
    log_probs = np.take_along_axis(stored, ranked, axis=-1)
    if log_probs.shape[-1] < k or (log_probs[..., -1] < answered["log_largest"]).any():
        raise ShapeError(
            f"The {k} likeliest tokens are not known for certain: the answers keep "
            f"{stored.shape[-1]} tokens, and others may be likelier. Expected a "
            f"smaller k, and no average of truncated answers. Lower k."
        )
    return np.take_along_axis(answered["tokens"], ranked, axis=-1), log_probs


def paired(
    ours: tuple[NDArray[Any], Array], theirs: tuple[NDArray[Any], Array]
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Find our tokens among theirs, each a result of :func:`likeliest`.

    Returns:
        For each of our tokens our log-probability, theirs (−∞ where it is not among
        their tokens), and whether it is; all (n_sets, n_queries, k).
    """
    is_same = ours[0][..., :, None] == theirs[0][..., None, :]
    at_ours = np.where(is_same, theirs[1][..., None, :], -np.inf).max(axis=-1)
    return ours[1], at_ours, np.asarray(is_same.any(axis=-1))
