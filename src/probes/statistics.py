"""Intervals and p-values of a mean over crossed sets and queries, in float64.

The model is x[s, q] = mean + set + query + rest, all random: two-way variance
components, with Satterthwaite's degrees of freedom for the standard error of the mean.
No thresholds here: see ``verdict``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probes.measurement import Array


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its standard error.

    Attributes:
        mean: The mean over sets and queries.
        error: Its standard error; 0 when the values do not vary; inf with one set.
        freedom: Satterthwaite's degrees of freedom.
    """

    mean: float
    error: float
    freedom: float

    def interval(self, level: float) -> tuple[float, float]:
        """Compute the two-sided confidence interval of a level such as .90."""
        from scipy.special import stdtrit  # takes as long to import as numpy

        if self.error == 0.0:
            return self.mean, self.mean
        half = float(stdtrit(self.freedom, (1 + level) / 2)) * self.error
        return self.mean - half, self.mean + half

    def p_above(self, bound: float) -> float:
        """Test against "the mean is at most the bound"; small p says it is above."""
        from scipy.special import stdtr

        if self.error == 0.0:
            return 0.0 if self.mean > bound else 1.0
        if math.isinf(self.error):
            return 1.0
        return float(stdtr(self.freedom, (bound - self.mean) / self.error))

    def p_below(self, bound: float) -> float:
        """Test against "the mean is at least the bound"; small p says it is below."""
        return Estimate(
            mean=-self.mean, error=self.error, freedom=self.freedom
        ).p_above(-bound)


def estimate_mean(values: Array) -> Estimate:
    """Estimate the mean of crossed values.

    Args:
        values: Shape (n_sets, n_queries).

    Returns:
        The mean, with Var = (MS_sets + MS_queries − MS_rest) / (n_sets · n_queries),
        never taken to be less than the largest single mean square's share. With one set
        the spread over sets is unknown, and the error is infinite.
    """
    n_sets, n_queries = values.shape
    mean = math.fsum(values.ravel().tolist()) / values.size
    if n_sets < 2:
        return Estimate(mean=mean, error=math.inf, freedom=1.0)
    if np.ptp(values) == 0.0:
        return Estimate(mean=mean, error=0.0, freedom=float(n_sets - 1))
    sets, queries, rest = _mean_squares(values)
    combined = sets + queries - rest
    floor = max(sets, queries)
    if n_queries < 2 or combined <= 0.0:
        combined, queries, rest = sets, 0.0, 0.0
    variance = max(combined, floor)
    if variance == 0.0:
        freedom = float(n_sets - 1)
    else:  # as shares, because the squares of large numbers overflow
        parts = (sets / variance) ** 2 / (n_sets - 1)
        if n_queries > 1:
            parts += (queries / variance) ** 2 / (n_queries - 1)
            parts += (rest / variance) ** 2 / ((n_sets - 1) * (n_queries - 1))
        freedom = 1 / parts if parts > 0 else float(n_sets - 1)
    return Estimate(
        mean=mean,
        error=math.sqrt(variance / values.size),
        freedom=min(max(1.0, freedom), values.size - 1.0),
    )


def _mean_squares(values: Array) -> tuple[float, float, float]:
    n_sets, n_queries = values.shape
    mean = values.mean()
    by_set, by_query = values.mean(axis=1), values.mean(axis=0)
    sets = n_queries * float(((by_set - mean) ** 2).sum()) / (n_sets - 1)
    if n_queries < 2:
        return sets, 0.0, 0.0
    queries = n_sets * float(((by_query - mean) ** 2).sum()) / (n_queries - 1)
    left = values - by_set[:, None] - by_query[None, :] + mean
    rest = float((left**2).sum()) / ((n_sets - 1) * (n_queries - 1))
    return sets, queries, rest


def crossed_bootstrap(
    values: Array, *, level: float, n: int, seed: int
) -> tuple[float, float]:
    """Resample sets and queries together; the percentile interval of the mean."""
    rng = np.random.default_rng(seed)
    n_sets, n_queries = values.shape
    by_set = rng.multinomial(n_sets, np.full(n_sets, 1 / n_sets), n) / n_sets
    by_query = (
        rng.multinomial(n_queries, np.full(n_queries, 1 / n_queries), n) / n_queries
    )
    means = np.einsum("bq,bq->b", by_set @ values, by_query)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def ratio_interval(above: Array, below: Array, *, level: float) -> tuple[float, float]:
    """Compute Fieller's interval of mean(above) / mean(below), both crossed.

    θ belongs to the interval when the mean of above − θ·below is compatible with 0: the
    error of the denominator counts. Assumes mean(below) > 0, and that it is clearly so;
    bounds further than 1e6 from the estimate are infinite.
    """
    centre = float(above.mean() / below.mean())

    def inside(theta: float) -> bool:
        low, high = estimate_mean(above - theta * below).interval(level)
        return low <= 0.0 <= high

    def bound(direction: float) -> float:
        step = 1e-3
        while inside(centre + direction * step):
            step *= 2
            if step > 1e6:
                return direction * math.inf
        near, far = 0.0, step
        for _ in range(60):
            middle = (near + far) / 2
            if inside(centre + direction * middle):
                near = middle
            else:
                far = middle
        return centre + direction * near

    return bound(-1.0), bound(1.0)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the false-discovery rate, in the order given."""
    n = len(p_values)
    order = sorted(range(n), key=lambda i: p_values[i])
    adjusted, least = [1.0] * n, 1.0
    for rank in range(n, 0, -1):
        index = order[rank - 1]
        least = min(least, p_values[index] * n / rank)
        adjusted[index] = least
    return adjusted
