"""Bounds of measures if only part of each answer is kept.

Of the tokens that were not kept, the rest, only the total mass is known (see
``observations.common_support``). Every bound here holds however that mass is spread
over those tokens. A bound is 0 if nothing was left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from probes.measurement import UNBOUNDED, Array, Measurement
from probes.observations.common_support import UNKNOWN, CommonSupport


def bound_divergence(similarity: Measurement, shared: CommonSupport) -> Measurement:
    """Bound 1 − the Jensen–Shannon divergence of two answers.

    The divergence is I(Z; X), the information that an answer X carries about which
    learner Z gave it. Let E be the event that X is in the rest of Z. Then I(Z; X, E) is
    the divergence as measured, in which the rest is one outcome, plus the information
    inside that outcome, at most :func:`mixing` of the rests. I(Z; X) is smaller by at
    most H(E | X): on the tokens that only one learner kept, mixing of its mass there
    and the other's rest.
    """
    p, q = shared.rests
    ours, theirs = _known_alone(shared)
    more = mixing(p, q)
    less = mixing(ours, q) + mixing(theirs, p)
    return shared.bounded(similarity, below=more, above=less)


def mixing(p: Array, q: Array) -> Array:
    """Give (p + q)/2 times the entropy of p/(p + q) and q/(p + q), in bits.

    This is the information in a disjoint part of two answers with masses p and q,
    beyond that in the masses. It grows with both.
    """
    both = np.where(p + q > 0, p + q, 1.0)
    shares = [p / both, q / both]
    entropy = -sum(s * np.log2(np.where(s > 0, s, 1.0)) for s in shares)
    return np.asarray(both / 2 * entropy)


def _known_alone(shared: CommonSupport) -> tuple[Array, Array]:
    """Give the masses of tokens that only the one, and only the other learner knows."""
    ours, theirs = shared.known
    return (
        np.where(theirs <= UNKNOWN, np.exp(ours), 0.0).sum(axis=-1),
        np.where(ours <= UNKNOWN, np.exp(theirs), 0.0).sum(axis=-1),
    )


def bound_total_variation(distance: Measurement, shared: CommonSupport) -> Measurement:
    """Bound a total variation distance.

    As measured, the rests add ½|p − q|. Disjoint rests add ½(p + q), which is more by
    the smaller of the two. At the other extreme they fill up what the other answer has
    more of, and take ½(p + q) away.
    """
    p, q = shared.rests
    above, below = np.minimum(p, q), np.maximum(p, q)
    return shared.bounded(distance, below=below, above=above)


def hidden_spread(rests: Sequence[Array], *, ddof: int = 0) -> Array:
    """Bound the sum over tokens of the standard deviations of R rests.

    R numbers >= 0 of mean m have a standard deviation of at most m·√(R − 1), reached if
    all except one are 0. The means of the tokens add up to the mean of the rests.
    """
    n = len(rests)
    return np.asarray(np.mean(rests, axis=0) * np.sqrt((n - 1) * n / (n - ddof)))


def bound_spread(spread: Measurement, shared: CommonSupport) -> Measurement:
    """Bound a sum over tokens of standard deviations over R answers.

    A standard deviation is a seminorm: the rests add at most their own to it, or take
    that away. The measured value already includes the deviation of the rests as one
    outcome.
    """
    widest, merged = hidden_spread(shared.rests), np.std(shared.rests, axis=0)
    return shared.bounded(spread, below=widest + merged, above=widest - merged)


def bound_relative_spread(
    ratio: Measurement, scale: float, orders: CommonSupport, others: CommonSupport
) -> Measurement:
    """Bound a sum of standard deviations relative to another's mean.

    Args:
        ratio: As measured.
        scale: The denominator, as measured.
        orders: The answers in the numerator.
        others: The answers in the denominator.
    """
    if orders.is_whole and others.is_whole:
        return ratio
    reach = 2 * hidden_spread(orders.rests, ddof=1)
    reach_of_scale = 2 * float(hidden_spread(others.rests, ddof=1).mean())
    spread = ratio.values * scale
    lowest, highest = scale - reach_of_scale, scale + reach_of_scale
    if lowest <= 0:  # the denominator may be 0
        return replace(
            ratio, least=np.zeros_like(spread), most=np.full_like(spread, UNBOUNDED)
        )
    least = np.maximum(spread - reach, 0.0) / highest
    return replace(ratio, least=least, most=(spread + reach) / lowest)


def bound_agreement(
    agreement: Measurement, changes: Sequence[Array], shared: CommonSupport
) -> Measurement:
    """Bound ⟨a, b⟩ over the larger of ‖a‖² and ‖b‖².

    The rests change a by at most a length α, and b by β. So they change ⟨a, b⟩ by at
    most ‖a‖β + α‖b‖ + αβ (Cauchy–Schwarz), and the lengths by α and β.

    Args:
        agreement: As measured, on the known tokens.
        changes: a and b on the known tokens.
        shared: One learner's answers before and after, then the other's.
    """
    if shared.is_whole:
        return agreement
    a, b = (np.sqrt((change**2).sum(axis=-1)) for change in changes)
    alpha, beta = _hidden_lengths(shared)
    reach = a * beta + alpha * b + alpha * beta
    shortest = np.maximum(np.maximum(a - alpha, b - beta), 0.0) ** 2
    lengths = shortest, np.maximum(a + alpha, b + beta) ** 2
    product = (changes[0] * changes[1]).sum(axis=-1)
    low = _quotient(product - reach, lengths)
    high = -_quotient(-product - reach, lengths)
    return replace(agreement, least=low, most=high)


def _hidden_lengths(shared: CommonSupport) -> tuple[Array, Array]:
    """Bound the lengths by which rests change the two changes.

    For vectors of numbers >= 0, ‖u − v‖² <= ‖u‖² + ‖v‖². Numbers up to m that sum to r
    have squares that sum to at most m·r.
    """
    pairs = zip(shared.largest, shared.rests, strict=True)
    before, after, others_before, others_after = (m * r for m, r in pairs)
    return np.sqrt(before + after), np.sqrt(others_before + others_after)


def _quotient(product: Array, lengths: tuple[Array, Array]) -> Array:
    """Divide by the length that gives the smaller quotient, which is at least −1."""
    length = np.where(product < 0, *lengths)
    quotient = product / np.where(length > 0, length, np.inf)
    return np.maximum(np.where((length == 0) & (product < 0), -1.0, quotient), -1.0)
