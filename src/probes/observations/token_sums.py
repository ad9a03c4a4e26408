"""Sums over the vocabulary of a function of several answers' probabilities.

The sum is exact for whole answers. For truncated ones it is estimated from nested
samples of the vocabulary (see ``truncation``). Let f_ℓ be the function as it looks to
one who knows a probability only if it is large enough to be kept in sample ℓ, and puts
``c`` times that size for others. In the smallest sample all are known. So the sum is

    Σ f = Σ f_0 + Σ_ℓ Σ (f_ℓ − f_{ℓ−1}),

and each term is estimated, without bias, by 2^ℓ times its sum over sample ℓ. The first
needs no sample. Three values of ``c`` give three estimates with the same expectation,
and all probabilities of an answer sum to 1. Both are control variates: regression on
what they miss by removes most of the error, at a bias of about its square.

Reference: Giles 2008, doi:10.1287/opre.1070.0496 (multilevel estimates); Cohen and
Kaplan 2013, doi:10.1007/978-3-642-40328-6_32 (coordinated samples); Owen 2013, *Monte
Carlo Theory, Methods and Examples*, §8.9 (control variates by regression).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.measurement import Array
from probes.observations.observation import Observation, require_same_cells
from probes.observations.token_samples import last_level, levels
from probes.observations.truncation import KeptTokens, kept_tokens

Terms = Callable[[Sequence[Array]], Array]
UNKNOWN = -1e4
"""Log-probability instead of −∞: its exponential is 0, differences are finite."""
IMPUTED = (0.5, 0.0, 1.0)
"""Values of ``c``. For 1, equal answers have no error; for 0, disjoint ones hardly."""
RIDGE = 1e-4
"""Keeps slopes of controls that are nearly one another from growing."""
ERRORS_WIDE = 2.0
"""Half the width of a bound in standard errors: 19 of 20 truths lie inside."""


@dataclass(frozen=True, kw_only=True)
class TokenSum:
    """A sum over the vocabulary for every set and query.

    Attributes:
        values: Shape (n_sets, n_queries).
        errors: Standard errors of the values, independent of each other; 0 if the
            answers are whole.
    """

    values: Array
    errors: Array

    @property
    def is_exact(self) -> bool:
        """Whether no value has an error."""
        return not self.errors.any()


def sum_over_tokens(terms: Terms, *answered: Observation) -> TokenSum:
    """Sum a function of the answers' probabilities over the vocabulary.

    Args:
        terms: Takes the log-probabilities of each answer, of equal shapes, and returns
            one number for each token. It is 0 for a token that no answer gives.
        answered: Answers to the same queries, all whole or all truncated.

    Raises:
        ShapeError: They did not answer the same queries.
    """
    require_same_cells(*answered)
    if all(one.is_whole for one in answered):
        values = terms([one.log_probs for one in answered]).sum(axis=-1)
        return TokenSum(values=values, errors=np.zeros_like(values))
    values, variances = np.empty((2, *answered[0].shape[:2]))
    for place in np.ndindex(values.shape):
        seen = _SeenTokens(answered, *place)
        values[place], variances[place] = _estimate(terms, seen)
    return TokenSum(values=values, errors=np.sqrt(variances))


class _SeenTokens:
    """Every token that is kept of any answer to one query, at every level.

    Attributes:
        levels: Shape (n_tokens,).
        scales: 2^ℓ up to the token's level, then 0; shape (n_levels, n_tokens).
        log_probs: Shape (n_parts, 1, n_tokens).
        is_known: Shape (n_parts, n_levels, n_tokens).
        log_thresholds: Shape (n_parts, n_levels, 1).
        groups: How many parts each answer has: several, if it is an average.
    """

    def __init__(self, answered: Sequence[Observation], s: int, q: int) -> None:
        parts = [kept_tokens(p, s, q) for one in answered for p in one.parts or (one,)]
        self.groups = [max(len(one.parts), 1) for one in answered]
        n_vocab, place = answered[0].n_vocab, parts[0].place
        is_kept = np.zeros(n_vocab, dtype=bool)
        for part in parts:
            is_kept[part.tokens] = True
        tokens = np.flatnonzero(is_kept)
        places = is_kept.cumsum(dtype=np.int32) - 1
        self.levels = levels(tokens, n_vocab, place)
        n_levels = last_level(n_vocab) + 1
        at = np.arange(n_levels)[:, None]
        self.scales = np.where(at <= self.levels, 2.0**at, 0.0)
        shape = (len(parts), n_levels, len(tokens))
        self.log_probs = np.full((len(parts), 1, len(tokens)), UNKNOWN)
        self.is_known = np.zeros(shape, dtype=bool)
        thresholds = np.array([part.log_threshold for part in parts])
        self.log_thresholds = thresholds[:, None, None] - np.log(2) * at
        for index, part in enumerate(parts):
            self._put(index, part, places[part.tokens])

    def _put(self, index: int, part: KeptTokens, places: Array) -> None:
        """Lay out one answer; of a token kept twice, the exact number counts."""
        own = self.log_probs[index, 0]
        own[places[::-1]] = part.log_probs[::-1]
        known = self.is_known[index]
        known[:] = own > self.log_thresholds[index]
        known[-1] |= own > UNKNOWN
        known[:, places[: part.n_exact]] = True
        # Codes are rounded: a sampled token is known at its level all the same.
        sampled = places[part.n_exact : part.n_exact + part.n_sampled]
        known[self.levels[sampled], sampled] = True


def _estimate(terms: Terms, seen: _SeenTokens) -> tuple[float, float]:
    """Estimate the sum for one query, and the variance of the estimate."""
    looks = _as_it_looks(terms, seen)
    first = looks[:, 0].sum(axis=-1)
    changes = _scaled_changes(looks, seen.scales)
    masses = np.where(seen.is_known, np.exp(seen.log_probs), 0.0)
    left_out = 1 - masses[:, 0].sum(axis=-1)  # of each part in the first term
    controls = np.concatenate(
        [_scaled_changes(masses, seen.scales), changes[1:] - changes[0]]
    )
    wanted = np.concatenate([left_out, first[0] - first[1:]])
    slopes = _slopes(controls, changes[0])
    value = first[0] + changes[0].sum() - slopes @ (controls.sum(axis=1) - wanted)
    remains = changes[0] - slopes @ controls
    return float(value), float(remains @ remains)


def _as_it_looks(terms: Terms, seen: _SeenTokens) -> Array:
    """Give f_ℓ of every token for every ``c``; shape (n_c, n_levels, n_tokens).

    It is 0 where nobody knows the token, and left 0 above the token's level.
    """
    looks = np.zeros((len(IMPUTED), *seen.scales.shape))
    is_seen = seen.is_known.any(axis=0) & (seen.scales > 0)
    is_whole = seen.is_known.all(axis=0)
    for look, c in zip(looks, IMPUTED, strict=True):
        is_asked = is_seen if c == IMPUTED[0] else is_seen & ~is_whole
        look[:] = looks[0]
        look[is_asked] = terms(_filled(seen, is_asked, c))
    return looks


def _filled(seen: _SeenTokens, is_asked: NDArray[np.bool_], c: float) -> list[Array]:
    """Give each answer's log-probabilities, with one value of ``c`` where unknown."""
    asked = np.flatnonzero(is_asked)
    at_level, token = np.divmod(asked, is_asked.shape[1])
    log_c = np.log(c) if c > 0 else UNKNOWN
    filled = np.where(
        seen.is_known.reshape(len(seen.is_known), -1).take(asked, axis=1),
        seen.log_probs[:, 0].take(token, axis=1),
        seen.log_thresholds[:, :, 0].take(at_level, axis=1) + log_c,
    )
    ends = np.cumsum(seen.groups)[:-1]
    return [
        parts[0] if len(parts) == 1 else np.logaddexp.reduce(parts) - np.log(len(parts))
        for parts in np.split(filled, ends)
    ]


def _scaled_changes(by_level: Array, scales: Array) -> Array:
    """Add every change from one level to the next, scaled; shape (…, n_tokens)."""
    return np.asarray((np.diff(by_level, axis=-2) * scales[1:]).sum(axis=-2))


def _slopes(controls: Array, estimated: Array) -> Array:
    """Regress the estimates on the controls; a control of hardly any size counts 0."""
    squares = controls @ controls.T
    sizes = np.diagonal(squares).copy()
    ridge = np.diag(RIDGE * sizes + 1e-12)
    return np.asarray(np.linalg.solve(squares + ridge, controls @ estimated))
