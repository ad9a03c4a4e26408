"""Intervals and p-values of a mean over crossed sets and queries, in float64.

The model is x[s, q] = mean + set + query + rest, all random: two-way variance
components, with Satterthwaite's degrees of freedom for the standard error of the mean.
The thresholds are in ``thresholds``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from probes.measurement import Array

FARTHEST = 1e9
"""Standard errors beyond which every p is 0 or 1; their cube is still a number."""
FARTHEST_RATIO = 1e6
NO_SKEWNESS = 1e-6
"""Below it the interval's end is Student's to six digits, and its formula is 0 / 0."""


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

    def interval(self, level: float, *, tail: float = 0.0) -> tuple[Array, Array]:
        """Compute the two-sided confidence interval of a level such as .90.

        Args:
            level: The coverage of both sides together.
            tail: How often the skewness counts; see :meth:`p_below`.
        """
        return -self.mirrored._upper(level, tail), self._upper(level, tail)

    def p_above(self, bound: float, *, tail: float = 0.0) -> Array:
        """Test against "the mean is at most the bound"; small p says it is above."""
        return self.mirrored.p_below(-bound, tail=tail)

    def p_below(self, bound: float, *, tail: float = 0.0) -> Array:
        """Test against "the mean is at least the bound"; small p says it is below.

        Args:
            bound: What the mean is compared with.
            tail: 0 is Student's test. Otherwise its p-value is the larger of Student's
                and that of the statistic without its skewness (Hall 1992, *J. R. Stat.
                Soc. B* 54:221, his cubic transformation), in which the skewness counts
                ``tail`` times. Only a tail above the mean counts here: one that few
                sets may not have shown, and that would lift the mean.
        """
        from scipy.special import stdtr  # takes as long to import as numpy

        gap = self.mean - bound
        known = (self.error > 0.0) & np.isfinite(self.error)
        with np.errstate(over="ignore"):
            z = np.where(known, gap, 0.0) / np.where(known, self.error, 1.0)
        z = np.clip(z, -FARTHEST, FARTHEST)
        k = tail * np.maximum(self.skewness, 0.0)
        without = z + k * z**2 / 3 + k**2 * z**3 / 27 + k / 6
        p = np.asarray(stdtr(self.freedom, np.maximum(z, without)))
        p = np.where(self.error == 0.0, np.where(gap < 0.0, 0.0, 1.0), p)
        return np.where(np.isinf(self.error), 1.0, p)

    def _upper(self, level: float, tail: float) -> Array:
        """Find the bound at which :meth:`p_below` is half of what the level leaves."""
        from scipy.special import stdtrit

        t = np.asarray(stdtrit(self.freedom, (1 + level) / 2))
        k = tail * np.maximum(self.skewness, 0.0)
        skewed = k > NO_SKEWNESS
        safe = np.where(skewed, k, 1.0)
        without = 3 / safe * (1 - np.cbrt(1 - safe * t - safe**2 / 6))
        steps = np.where(skewed, np.maximum(t, without), t)
        with np.errstate(invalid="ignore"):
            half = np.where(self.error == 0.0, 0.0, steps * self.error)
        return np.asarray(self.mean + half)


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


def ratio_interval(
    above: Array, below: Array, *, level: float, tail: float = 0.0
) -> tuple[float, float]:
    """Compute Fieller's interval of mean(above) / mean(below), both crossed.

    θ belongs to the interval when the mean of above − θ·below is compatible with 0: the
    error of the denominator counts. Assumes mean(below) > 0, and that it is clearly so;
    bounds further than FARTHEST_RATIO from the estimate are infinite.
    """
    centre = float(above.mean() / below.mean())

    def end(theta: float, side: int) -> float:
        """Give the end of the contrast's interval that is 0 at a bound."""
        ends = estimate_mean(above - theta * below).interval(level, tail=tail)
        return float(ends[side])

    def bound(direction: float, side: int) -> float:
        inside = end(centre, side)
        step = abs(inside) / float(below.mean())
        if step == 0.0:
            return centre
        if not math.isfinite(step):
            return direction * math.inf
        while direction * (outside := end(centre + direction * step, side)) > 0.0:
            step *= 2
            if not step <= FARTHEST_RATIO:
                return direction * math.inf
        return centre + direction * _root(
            lambda x: end(centre + direction * x, side), step, inside, outside
        )

    return bound(-1.0, 0), bound(1.0, 1)


def _root(f: Callable[[float], float], x: float, at_0: float, at_x: float) -> float:
    """Find where a function changes its sign between 0 and x, by the Illinois rule."""
    low, high = (0.0, at_0), (x, at_x)
    for _ in range(100):
        if high[1] == low[1]:
            break
        middle = high[0] - high[1] * (high[0] - low[0]) / (high[1] - low[1])
        value = f(middle)
        if abs(middle - high[0]) <= 1e-12 * x or value == 0.0:
            return middle
        low = high if value * high[1] < 0.0 else (low[0], low[1] / 2)
        high = (middle, value)
    return high[0]
