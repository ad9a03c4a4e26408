"""Corrections of p-values over many cells: false-discovery and family-wise rates."""

from __future__ import annotations

from collections.abc import Sequence


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
