"""Intervals and p-values of a mean over crossed sets and queries, in float64.

The model is x[s, q] = mean + set + query + rest, all random: two-way variance
components, with Satterthwaite's degrees of freedom for the standard error of the mean.
The thresholds are in ``thresholds``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from probes.measurement import Array

FARTHEST = 1e9
"""Standard errors beyond which every p is 0 or 1."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its standard error; each field is an array, for a stack of matrices.

    Attributes:
        mean: The mean over sets and queries.
        error: Its standard error; 0 if the values do not vary; inf with one set.
        freedom: Satterthwaite's degrees of freedom.
        skewness: The third cumulant of the mean, in units of its error cubed.
    """

    mean: Array
    error: Array
    freedom: Array
    skewness: Array

    @property
    def mirrored(self) -> Estimate:
        """The estimate of the values with their signs changed."""
        return replace(self, mean=-self.mean, skewness=-self.skewness)

    def interval(self, level: float, *, widening: float = 0.0) -> tuple[Array, Array]:
        """Compute the two-sided confidence interval of a level such as .90.

        Args:
            level: The coverage of both sides together.
            widening: How often the skewness counts; see :meth:`p_below`.
        """
        return -self.mirrored._upper(level, widening), self._upper(level, widening)

    def p_above(self, bound: float, *, widening: float = 0.0) -> Array:
        """Test against "the mean is at most the bound"; small p says it is above."""
        return self.mirrored.p_below(-bound, widening=widening)

    def p_below(self, bound: float, *, widening: float = 0.0) -> Array:
        """Test against "the mean is at least the bound"; small p says it is below.

        Args:
            bound: What the mean is compared with.
            widening: 0 is Student's test. Otherwise the error counts 1 + widening ·
                skewness times. Only a tail above the mean counts here: one that few
                sets may not have shown, and that would lift the mean. The p-value
                falls without end as the mean falls, whatever the skewness.
        """
        from scipy.special import stdtr  # takes as long to import as numpy

        gap = self.mean - bound
        known = (self.error > 0.0) & np.isfinite(self.error)
        error = np.where(known, self.error, 1.0) * self._wider(widening)
        with np.errstate(over="ignore"):
            z = np.where(known, gap, 0.0) / error
        p = np.asarray(stdtr(self.freedom, np.clip(z, -FARTHEST, FARTHEST)))
        p = np.where(self.error == 0.0, np.where(gap < 0.0, 0.0, 1.0), p)
        return np.where(np.isinf(self.error), 1.0, p)

    def _upper(self, level: float, widening: float) -> Array:
        """Find the bound at which :meth:`p_below` is half of what the level leaves."""
        from scipy.special import stdtrit

        steps = np.asarray(stdtrit(self.freedom, (1 + level) / 2))
        with np.errstate(invalid="ignore"):
            half = steps * self._wider(widening) * self.error
        return np.asarray(self.mean + np.where(self.error == 0.0, 0.0, half))

    def _wider(self, widening: float) -> Array:
        return np.asarray(1.0 + widening * np.maximum(self.skewness, 0.0))


@dataclass(frozen=True, kw_only=True)
class Components:
    """The variances of set, query and rest, none below 0, of one value."""

    sets: float
    queries: float
    rest: float


def estimate_mean(values: Array) -> Estimate:
    """Estimate the mean of crossed values.

    Args:
        values: Shape (..., n_sets, n_queries).

    Returns:
        The mean, with Var = (MS_sets + MS_queries − MS_rest) / (n_sets · n_queries),
        never taken to be less than the largest single mean square's share. With one set
        the spread over sets is unknown, and the error is infinite. The skewness adds
        the third cumulants of the means of sets and of queries.
    """
    n_sets, n_queries = values.shape[-2:]
    mean = values.mean(axis=(-2, -1))
    if n_sets < 2:
        ones = np.ones_like(mean)
        return Estimate(
            mean=mean, error=ones * np.inf, freedom=ones, skewness=0.0 * ones
        )
    spread = np.ptp(values, axis=(-2, -1))
    mean = np.where(spread == 0.0, values[..., 0, 0], mean)
    scale = np.where(spread == 0.0, 1.0, spread)  # powers of large numbers overflow
    scaled = (values - mean[..., None, None]) / scale[..., None, None]
    variance, freedom = _variance(scaled)
    error = np.sqrt(variance / (n_sets * n_queries))
    third = _third_cumulant(scaled.mean(axis=-1)) + _third_cumulant(
        scaled.mean(axis=-2)
    )
    return Estimate(
        mean=mean,
        error=error * np.where(spread == 0.0, 0.0, scale),
        freedom=np.clip(freedom, 1.0, n_sets * n_queries - 1.0),
        skewness=np.where(error > 0.0, third / np.where(error > 0, error, 1) ** 3, 0.0),
    )


def _variance(values: Array) -> tuple[Array, Array]:
    """Combine mean squares to n_sets · n_queries times the variance of the mean.

    Returns:
        That variance, and its degrees of freedom by Satterthwaite's approximation.
    """
    n_sets, n_queries = values.shape[-2:]
    sets, queries, rest = _mean_squares(values)
    dropped = (sets + queries - rest <= 0.0) | (n_queries < 2)
    floor = np.maximum(sets, queries)
    queries, rest = (np.where(dropped, 0.0, part) for part in (queries, rest))
    variance = np.maximum(np.where(dropped, sets, sets + queries - rest), floor)
    safe = np.where(variance == 0.0, 1.0, variance)
    parts = (sets / safe) ** 2 / (n_sets - 1)
    if n_queries > 1:
        parts = parts + (queries / safe) ** 2 / (n_queries - 1)
        parts = parts + (rest / safe) ** 2 / ((n_sets - 1) * (n_queries - 1))
    freedom = np.where(parts > 0, 1 / np.where(parts > 0, parts, 1.0), n_sets - 1.0)
    return variance, freedom


def variance_components(values: Array) -> Components | None:
    """Split the variance of crossed values; None with fewer than two of either.

    Args:
        values: Shape (n_sets, n_queries).
    """
    n_sets, n_queries = values.shape
    if n_sets < 2 or n_queries < 2:
        return None
    sets, queries, rest = (float(part) for part in _mean_squares(values))
    return Components(
        sets=max(0.0, (sets - rest) / n_queries),
        queries=max(0.0, (queries - rest) / n_sets),
        rest=rest,
    )


def _mean_squares(values: Array) -> tuple[Array, Array, Array]:
    n_sets, n_queries = values.shape[-2:]
    mean = values.mean(axis=(-2, -1))[..., None]
    by_set, by_query = values.mean(axis=-1), values.mean(axis=-2)
    sets = n_queries * ((by_set - mean) ** 2).sum(axis=-1) / (n_sets - 1)
    if n_queries < 2:
        return sets, np.zeros_like(sets), np.zeros_like(sets)
    queries = n_sets * ((by_query - mean) ** 2).sum(axis=-1) / (n_queries - 1)
    left = values - by_set[..., :, None] - by_query[..., None, :] + mean[..., None]
    rest = (left**2).sum(axis=(-2, -1)) / ((n_sets - 1) * (n_queries - 1))
    return sets, queries, rest


def _third_cumulant(means: Array) -> Array:
    """Estimate the third cumulant of the mean of independent numbers, (..., n)."""
    n = means.shape[-1]
    if n < 3:
        return np.zeros(means.shape[:-1])
    centred = means - means.mean(axis=-1, keepdims=True)
    third: Array = n / ((n - 1) * (n - 2)) * (centred**3).sum(axis=-1) / n**2
    return third
