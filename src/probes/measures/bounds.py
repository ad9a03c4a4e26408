"""How far the truth may lie from what is measured on answers kept in part.

Each learner's answer is known but for its rest, of which only the mass is known (see
``outcome_space``). Every bound here holds wherever the rest's mass lies among tokens
that the learner does not know; they are 0 where nothing was left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from probes.measurement import UNBOUNDED, Array, Measurement
from probes.observations.common_support import UNKNOWN, CommonSupport


def with_divergence_ends(similarity: Measurement, shared: CommonSupport) -> Measurement:
    """Bound 1 − the Jensen–Shannon divergence of two answers.

    The divergence is I(Z; X), the bits that an answer X tells of which learner Z gave
    it. Let E say that X is in the rest of Z. Then I(Z; X, E) is the divergence as
    measured, in which rests are one outcome, and what is told inside that outcome, at
    most :func:`mixing` of the rests. And I(Z; X) lacks at most H(E | X): on the tokens
    that only one knows, mixing of what it has there and the other's rest.
    """
    p, q = shared.rests
    ours, theirs = _known_alone(shared)
    more = mixing(p, q)
    less = mixing(ours, q) + mixing(theirs, p)
    return shared.bounded(similarity, below=more, above=less)


def mixing(p: Array, q: Array) -> Array:
    """Give (p + q)/2 times the entropy of p/(p + q) and q/(p + q), in bits.

    What is told by a part of two answers with masses p and q that is disjoint, beyond
    its masses; it grows with both.
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


def with_variation_ends(distance: Measurement, shared: CommonSupport) -> Measurement:
    """Bound a total variation distance.

    As measured the rests add ½|p − q|. Apart they add ½(p + q), the smaller of the two
    more; at worst they fill up what the other has more, and take ½(p + q) away.
    """
    p, q = shared.rests
    above, below = np.minimum(p, q), np.maximum(p, q)
    return shared.bounded(distance, below=below, above=above)


def hidden_spread(rests: Sequence[Array], *, ddof: int = 0) -> Array:
    """Bound the sum over tokens of standard deviations that R rests may have.

    R numbers >= 0 of mean m deviate by at most m·√(R − 1), where all but one are 0; and
    the tokens' means add up to the rests'.
    """
    n = len(rests)
    return np.asarray(np.mean(rests, axis=0) * np.sqrt((n - 1) * n / (n - ddof)))


def with_spread_ends(spread: Measurement, shared: CommonSupport) -> Measurement:
    """Bound a sum over tokens of standard deviations over R answers.

    A standard deviation is a seminorm: rests add at most their own to it, or take it
    away. As measured, the rests' deviation as one outcome is in it already.
    """
    widest, merged = hidden_spread(shared.rests), np.std(shared.rests, axis=0)
    return shared.bounded(spread, below=widest + merged, above=widest - merged)


def with_relative_ends(
    ratio: Measurement, scale: float, orders: CommonSupport, others: CommonSupport
) -> Measurement:
    """Bound a sum of standard deviations relative to another's mean.

    Args:
        ratio: As measured.
        scale: What it is relative to, as it was measured.
        orders: The answers above the line.
        others: The answers below it.
    """
    if orders.is_whole and others.is_whole:
        return ratio
    reach = 2 * hidden_spread(orders.rests, ddof=1)
    reach_of_scale = 2 * float(hidden_spread(others.rests, ddof=1).mean())
    spread = ratio.values * scale
    lowest, highest = scale - reach_of_scale, scale + reach_of_scale
    if lowest <= 0:  # how much other demonstrations matter is not known at all
        return replace(
            ratio, least=np.zeros_like(spread), most=np.full_like(spread, UNBOUNDED)
        )
    least = np.maximum(spread - reach, 0.0) / highest
    return replace(ratio, least=least, most=(spread + reach) / lowest)


def with_agreement_ends(
    agreement: Measurement, changes: Sequence[Array], shared: CommonSupport
) -> Measurement:
    """Bound ⟨a, b⟩ over the larger of ‖a‖² and ‖b‖².

    Rests change a by no more than a length α, and b by β: ⟨a, b⟩ by no more than
    ‖a‖β + α‖b‖ + αβ (Cauchy–Schwarz), and the lengths by α and β.

    Args:
        agreement: As measured, on the known tokens.
        changes: a and b there.
        shared: The answers before and after of the one, then of the other.
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

    The difference of two vectors of numbers >= 0 is, squared, no longer than both
    together; and numbers up to m that sum to r have squares that sum to m·r or less.
    """
    pairs = zip(shared.largest, shared.rests, strict=True)
    before, after, others_before, others_after = (m * r for m, r in pairs)
    return np.sqrt(before + after), np.sqrt(others_before + others_after)


def _quotient(product: Array, lengths: tuple[Array, Array]) -> Array:
    """Divide by whichever length gives less; at the least −1, as all agreements are."""
    length = np.where(product < 0, *lengths)
    found = product / np.where(length > 0, length, np.inf)
    return np.maximum(np.where((length == 0) & (product < 0), -1.0, found), -1.0)
