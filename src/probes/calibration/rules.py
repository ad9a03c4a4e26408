"""Rules that judge a stack of matrices: the instrument's rule and its alternatives.

For every matrix, each rule returns a p-value of "the mean is below the margin" and one
of "the mean is above it". The p-value of a bootstrap is the share of resampled means on
the wrong side of the margin.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from probes.measurement import Array
from probes.verdicts.crossed_means import Estimate, estimate_mean
from probes.verdicts.decision import p_values

P = tuple[Array, Array]
Rule = Callable[[Array, float], P]

RESAMPLES = 1000


def instrument(values: Array, margin: float) -> P:
    """Decide as a verdict does: ``verdicts.decision.p_values``, its own code."""
    return p_values(values, margin, one_sided=True)


def components(values: Array, margin: float) -> P:
    """Judge by two-way variance components with Satterthwaite's degrees of freedom."""
    estimate = estimate_mean(values)
    return estimate.p_below(margin), estimate.p_above(margin)


def components_one_way_freedom(values: Array, margin: float) -> P:
    """Judge with the degrees of freedom of all values, which is a mistake."""
    estimate = estimate_mean(values)
    freedom = np.full_like(estimate.mean, values.shape[-2] * values.shape[-1] - 1.0)
    wrong = Estimate(
        mean=estimate.mean,
        error=estimate.error,
        freedom=freedom,
        skewness=estimate.skewness,
    )
    return wrong.p_below(margin), wrong.p_above(margin)


def pairs(values: Array, margin: float) -> P:
    """Judge by Student's t over all values, as if they were independent."""
    return components(values.reshape(*values.shape[:-2], -1, 1), margin)


def sets_alone(values: Array, margin: float) -> P:
    """Judge by Student's t over the means of sets, as if no other queries existed."""
    return components(values.mean(axis=-1)[..., None], margin)


def bootstrap_of_sets(values: Array, margin: float) -> P:
    """Judge by a bootstrap over sets, not queries."""
    n_sets = values.shape[-2]
    weights = _weights(n_sets)
    return _shares(values.mean(axis=-1) @ weights.T, margin)


def crossed_bootstrap(values: Array, margin: float) -> P:
    """Judge by a bootstrap over sets and queries together."""
    by_set, by_query = (_weights(n) for n in values.shape[-2:])
    means = np.stack([((by_set @ one) * by_query).sum(axis=-1) for one in values])
    return _shares(means, margin)


def components_and_bootstrap(values: Array, margin: float) -> P:
    """Take the larger p of components and crossed bootstrap."""
    one, other = components(values, margin), crossed_bootstrap(values, margin)
    return np.maximum(one[0], other[0]), np.maximum(one[1], other[1])


def _weights(n: int) -> Array:
    rng = np.random.default_rng(n)
    return rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) / n


def _shares(means: Array, margin: float) -> P:
    return (means >= margin).mean(axis=-1), (means <= margin).mean(axis=-1)


RULES: dict[str, Rule] = {
    "instrument": instrument,
    "components": components,
    "components and crossed bootstrap": components_and_bootstrap,
    "crossed bootstrap": crossed_bootstrap,
    "bootstrap of sets": bootstrap_of_sets,
    "t over sets": sets_alone,
    "t over all pairs": pairs,
    "components, freedom of all values": components_one_way_freedom,
}
SLOW = ("components and crossed bootstrap", "crossed bootstrap")
"""Rules that resample every matrix. They get fewer runs."""
