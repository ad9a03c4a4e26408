"""How far the truth may lie from what is measured on answers kept in part.

Learners are compared on the tokens known of all of them and one outcome more, the rest
(see ``outcome_space``). Each bound here holds whatever the rest holds inside; where
nothing was left out it is 0, and the measurement stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from probes.measurement import Array, Measurement
from probes.outcome_space import Common


def hidden_divergence(p: Array, q: Array) -> Array:
    """Bound what a rest hides of the Jensen–Shannon divergence, in bits.

    By the chain rule it hides (p + q)/2 times a divergence of what stands inside, with
    the weights p/(p + q) and q/(p + q). That is at most the weights' entropy, which two
    disjoint answers reach.

    Args:
        p: The rest's probability by one learner, (n_sets, n_queries).
        q: By the other.
    """
    both = np.where(p + q > 0, p + q, 1.0)
    shares = [p / both, q / both]
    entropy = -sum(s * np.log2(np.where(s > 0, s, 1.0)) for s in shares)
    return np.asarray(both / 2 * entropy)


def hidden_variation(p: Array, q: Array) -> Array:
    """Bound what a rest hides of the total variation distance.

    Merged it gives ½|p − q|, and apart at most ½(p + q): the smaller of the two more.
    """
    return np.minimum(p, q)


def hidden_spread(rests: Sequence[Array], *, ddof: int = 0) -> Array:
    """Bound what a rest hides of a sum of standard deviations over R answers.

    R numbers >= 0 of mean m deviate by at most m·√(R − 1), where all but one are 0; and
    the tokens' means add up to the rest's. Merged, the rest gives its own deviation
    already.
    """
    n = len(rests)
    widest = np.mean(rests, axis=0) * np.sqrt((n - 1) * n / (n - ddof))
    return np.asarray(widest - np.std(rests, axis=0, ddof=ddof))


def with_relative_ends(
    found: Measurement, scale: float, orders: Common, others: Common
) -> Measurement:
    """Bound a sum of standard deviations relative to another's mean.

    Args:
        found: The ratio.
        scale: What it is relative to, as it was measured.
        orders: The answers above the line.
        others: The answers below it.
    """
    if orders.is_whole and others.is_whole:
        return found
    spread = found.values * scale
    widest = spread + hidden_spread(orders.rests, ddof=1)
    widest_scale = scale + float(hidden_spread(others.rests, ddof=1).mean())
    least = spread / (widest_scale or 1.0)
    most = widest / scale if scale > 0 else found.values  # by its convention
    return replace(found, least=least, most=most)


def with_agreement_ends(
    found: Measurement, changes: Sequence[Array], shared: Common
) -> Measurement:
    """Bound ⟨a, b⟩ over the larger of ‖a‖² and ‖b‖², with a and b known but the rest.

    The rest's part of ⟨a, b⟩ is at most the product of the lengths that the rest may
    add (Cauchy–Schwarz), and the larger length may grow by these.

    Args:
        found: The quotient of what is known.
        changes: a and b on the known tokens.
        shared: The answers before and after of the one, then of the other.
    """
    if shared.is_whole:
        return found
    hidden = _hidden_squares(shared)
    product = (changes[0] * changes[1]).sum(axis=-1)
    known = np.max([(change**2).sum(axis=-1) for change in changes], axis=0)
    reach = np.sqrt(hidden[0] * hidden[1])
    lengths = known, known + np.maximum(*hidden)
    low = _quotient(product - reach, lengths)
    high = -_quotient(-product - reach, lengths)
    return replace(found, least=low, most=high)


def _hidden_squares(shared: Common) -> tuple[Array, Array]:
    """Bound the squared length that the rest adds to each of two changes.

    The difference of two vectors of numbers >= 0 is, squared, no longer than both
    together; and numbers up to m that sum to r have squares that sum to m·r or less.
    """
    pairs = zip(shared.largest, shared.rests, strict=True)
    before, after, others_before, others_after = (m * r for m, r in pairs)
    return before + after, others_before + others_after


def _quotient(product: Array, lengths: tuple[Array, Array]) -> Array:
    """Divide by whichever length gives less; at the least −1, as all agreements are."""
    length = np.where(product < 0, *lengths)
    found = product / np.where(length > 0, length, np.inf)
    return np.maximum(np.where((length == 0) & (product < 0), -1.0, found), -1.0)
