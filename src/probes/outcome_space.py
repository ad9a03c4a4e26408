"""Answers of several learners on one set of outcomes, so that they can be compared.

Where all is kept the outcomes are the vocabulary. Else they are the tokens that are
known of every answer and one more, "the rest". Merging outcomes never moves two
distributions apart, so distances come out too small, and the rest bounds by how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.errors import ShapeError
from probes.measurement import Array, Measurement
from probes.observation import Observation, require_same_cells

NOTHING = -1e4
"""Log-probability of an outcome that is not there: its exponential is 0, and
differences stay numbers."""
FILL = np.iinfo(np.int32).max
"""In place of a token where another answer has more."""


@dataclass(frozen=True, kw_only=True)
class Common:
    """Answers of several learners on one set of outcomes.

    Attributes:
        log_probs: For each learner (n_sets, n_queries, n_outcomes): the vocabulary;
            or the tokens known of all of them, and last the rest.
        rests: For each learner the probability of the rest, (n_sets, n_queries).
        largest: For each learner the probability that no token of the rest exceeds.
        tokens: The known tokens (n_sets, n_queries, n_outcomes − 1), ``FILL`` where
            there are fewer; None if the outcomes are the whole vocabulary.
    """

    log_probs: tuple[Array, ...]
    rests: tuple[Array, ...]
    largest: tuple[Array, ...]
    tokens: NDArray[Any] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the outcomes are the vocabulary, and nothing is left open."""
        return self.tokens is None

    @property
    def known(self) -> tuple[Array, ...]:
        """The log-probabilities without the rest."""
        end = None if self.is_whole else -1
        return tuple(found[..., :end] for found in self.log_probs)

    def bounded(
        self, found: Measurement, *, below: Array | float = 0, above: Array | float = 0
    ) -> Measurement:
        """Say of a measurement how far the truth may lie below and above it."""
        if self.is_whole:
            return found
        values = found.values
        return replace(found, least=values - below, most=values + above)


def common(*answered: Observation) -> Common:
    """Put answers to the same queries on one set of outcomes.

    Merging outcomes never makes two distributions differ more (data processing).

    Raises:
        ShapeError: They did not answer the same queries.
    """
    require_same_cells(*answered)
    shape = answered[0].shape[:2]
    if all(one.is_whole for one in answered):
        none = (np.zeros(shape),) * len(answered)
        logs = tuple(one.log_probs for one in answered)
        return Common(log_probs=logs, rests=none, largest=none)
    places = list(np.ndindex(shape))
    tokens = [_known_of_all(answered, place) for place in places]
    width = max(map(len, tokens))
    table = np.full((*shape, width), FILL, dtype=np.int32)
    logs = tuple(np.full((*shape, width + 1), NOTHING) for _ in answered)
    largest = tuple(np.zeros(shape) for _ in answered)
    for place, known in zip(places, tokens, strict=True):
        table[place][: len(known)] = known
        for one, into, most in zip(answered, logs, largest, strict=True):
            told, rest, top = _merged(one, place, known)
            into[place][: len(known)] = told
            into[place][-1], most[place] = rest, np.exp(top)
    rests = tuple(np.exp(found[..., -1]) for found in logs)
    return Common(log_probs=logs, rests=rests, largest=largest, tokens=table)


def _known_of_all(answered: Sequence[Observation], place: Any) -> NDArray[Any]:
    tokens = [one["tokens"][place] for one in answered if not one.is_whole]
    known = reduce(lambda a, b: np.intersect1d(a, b, assume_unique=True), tokens)
    return np.asarray(known[known != FILL])


def _merged(
    one: Observation, place: Any, known: NDArray[Any]
) -> tuple[Array, float, float]:
    """Give the known tokens' log-probabilities, the rest's, and its largest."""
    if one.is_whole:
        row = one["log_probs"][place].astype(np.float64)
        rest = np.delete(row, known)
        return row[known], _log_sum(rest), float(rest.max())

    row = one["token_log_probs"][place].astype(np.float64)
    at = np.searchsorted(one["tokens"][place], known)
    others = np.delete(row, at)
    rest = np.append(others, one["log_rest"][place])
    largest = max(others.max(initial=NOTHING), one["log_largest"][place])
    return row[at], _log_sum(rest), float(largest)


def _log_sum(logs: Array) -> float:
    """Add probabilities that are given by their logarithms."""
    most = logs.max()
    return float(most + np.log(np.exp(logs - most).sum()))


def likeliest(answered: Observation, k: int) -> tuple[NDArray[Any], Array]:
    """Give the k likeliest tokens, likeliest first, of equals lower ids first.

    Returns:
        Tokens and log-probabilities, both (n_sets, n_queries, k).

    Raises:
        ShapeError: So many are not known.
    """
    if answered.is_whole:
        stored = answered["log_probs"]
        ranked = np.argsort(-stored, axis=-1, kind="stable")[..., :k]
        return ranked, np.take_along_axis(stored, ranked, axis=-1).astype(np.float64)
    stored = answered["token_log_probs"].astype(np.float64)
    ranked = np.argsort(-stored, axis=-1, kind="stable")[..., :k]
    found = np.take_along_axis(stored, ranked, axis=-1)
    if found.shape[-1] < k or (found[..., -1] < answered["log_largest"]).any():
        raise ShapeError(
            f"The {k} likeliest tokens were asked of answers of which "
            f"{stored.shape[-1]} tokens are kept, and others may be likelier. Expected "
            f"fewer, and no average of kept answers. Lower k."
        )
    return np.take_along_axis(answered["tokens"], ranked, axis=-1), found


def paired(
    ours: tuple[NDArray[Any], Array], theirs: tuple[NDArray[Any], Array]
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Find our tokens among theirs; both are what :func:`likeliest` gives.

    Returns:
        For each of our tokens our log-probability, theirs (−∞ where it is not among
        their tokens), and whether it is; all (n_sets, n_queries, k).
    """
    is_same = ours[0][..., :, None] == theirs[0][..., None, :]
    at_ours = np.where(is_same, theirs[1][..., None, :], -np.inf).max(axis=-1)
    return ours[1], at_ours, np.asarray(is_same.any(axis=-1))


def averaged(answered: Sequence[Observation]) -> Observation:
    """Average what a learner answered to the same queries: probabilities, not logits.

    Where the answers are kept in part, the average knows the tokens that all of them
    know, and these and the rest exactly.

    Args:
        answered: Text observations of one cell, at least one, such as those after
            several orders of the same demonstrations.

    Raises:
        ShapeError: They answered other queries.
    """
    shared = common(*answered)
    logs = np.stack(shared.known)
    mixed = np.logaddexp.reduce(logs, axis=0) - np.log(len(answered))
    arrays = answered[0].arrays
    if shared.tokens is None:
        return replace(answered[0], arrays={**arrays, "log_probs": mixed})
    parts = {
        "tokens": shared.tokens,
        "token_log_probs": mixed,
        "log_rest": np.log(np.mean(shared.rests, axis=0)),
        "log_largest": np.log(np.mean(shared.largest, axis=0)),
    }
    others = {name: of for name, of in arrays.items() if name != "log_probs"}
    told = {**answered[0].facts, "n_vocab": answered[0].n_vocab}
    return replace(answered[0], arrays={**others, **parts}, facts=told)
