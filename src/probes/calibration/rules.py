"""Rules that decide a stack of matrices: the instrument's, and what it was chosen over.

Each gives, for every matrix, p of "the mean is below the margin" and of "the mean is
above it". A bootstrap gives a p-value too: the share of resampled means on the wrong
side of the margin.
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
    return p_values(estimate_mean(values), margin, one_sided=True, shape=values.shape)


def components(values: Array, margin: float) -> P:
    """Two-way variance components with Satterthwaite's degrees of freedom, no more."""
    found = estimate_mean(values)
    return found.p_below(margin), found.p_above(margin)


def components_one_way_freedom(values: Array, margin: float) -> P:
    """Give the components' error the degrees of freedom of all values: a mistake."""
    found = estimate_mean(values)
    freedom = np.full_like(found.mean, values.shape[-2] * values.shape[-1] - 1.0)
    wrong = Estimate(
        mean=found.mean, error=found.error, freedom=freedom, skewness=found.skewness
    )
    return wrong.p_below(margin), wrong.p_above(margin)


def pairs(values: Array, margin: float) -> P:
    """Student's t over all values, as if each were independent of every other."""
    return components(values.reshape(*values.shape[:-2], -1, 1), margin)


def sets_alone(values: Array, margin: float) -> P:
    """Student's t over the means of sets: queries are taken as all there are."""
    return components(values.mean(axis=-1)[..., None], margin)


def bootstrap_of_sets(values: Array, margin: float) -> P:
    """Resample sets, not queries."""
    n_sets = values.shape[-2]
    weights = _weights(n_sets)
    return _shares(values.mean(axis=-1) @ weights.T, margin)


def crossed_bootstrap(values: Array, margin: float) -> P:
    """Resample sets and queries together."""
    by_set, by_query = (_weights(n) for n in values.shape[-2:])
    means = np.stack([((by_set @ one) * by_query).sum(axis=-1) for one in values])
    return _shares(means, margin)


def components_and_bootstrap(values: Array, margin: float) -> P:
    """Ask that components and crossed bootstrap agree: the larger p of the two."""
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
"""Rules that resample every matrix; they are given fewer runs."""
