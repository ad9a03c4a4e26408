"""Corrections of p-values over many cells or means: false-discovery and family-wise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from probes.measurement import Array


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the false-discovery rate (Benjamini and Hochberg 1995).

    Args:
        p_values: One for each cell.

    Returns:
        The adjusted p-values, in the order given.
    """
    n = len(p_values)
    order = sorted(range(n), key=lambda i: p_values[i])
    adjusted, least = [1.0] * n, 1.0
    for rank in range(n, 0, -1):
        index = order[rank - 1]
        least = min(least, p_values[index] * n / rank)
        adjusted[index] = least
    return adjusted


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the family-wise error rate (Holm 1979), in their order."""
    n = len(p_values)
    adjusted, largest = [1.0] * n, 0.0
    for rank, index in enumerate(sorted(range(n), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, p_values[index] * (n - rank)))
        adjusted[index] = largest
    return adjusted


def simes(p_values: Array, n: Array | int | None = None) -> Array:
    """Combine p-values into that of "at least one hypothesis is false" (Simes 1986).

    It holds for independent and for positively dependent p-values (Sarkar 1998).

    Args:
        p_values: Shape (n_hypotheses, …); inf for a hypothesis that does not count.
        n: How many count, of the shape of one p-value; without it, all of them.

    Returns:
        One p-value for each column, in the shape of one p-value, not cut at 1.
    """
    ranks = np.arange(1, len(p_values) + 1).reshape(-1, *[1] * (p_values.ndim - 1))
    n = len(p_values) if n is None else n
    combined: Array = (np.sort(p_values, axis=0) * n / ranks).min(axis=0)
    return combined
