"""Correct the verdicts of a run for the number of its comparisons."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from probes.results.rows import Row
from probes.verdicts.false_discovery import benjamini_hochberg
from probes.verdicts.thresholds import ALPHA, least_p


def correct_verdicts(rows: Iterable[Row]) -> None:
    """Adjust p-values over the whole matrix, and withdraw verdicts that fail.

    *Supported* and *refuted* are each corrected by Benjamini–Hochberg over all distinct
    comparisons: rows of one network, data set and number of demonstrations with the
    same numbers are one comparison. First, each p is raised to the least p that the
    cell's number of sets allows (:func:`~probes.verdicts.thresholds.least_p`). A
    verdict whose adjusted p is above ALPHA becomes inconclusive. ``alone`` keeps the
    cell's own verdict, which its test reports.

    A correction within each claim would be weaker: a matrix of eight claims in which
    nothing holds would have a false *supported* several times as often (see
    ``reports/calibration``).
    """
    comparisons: dict[Hashable, list[Row]] = {}
    for row in rows:
        if row["effects"] and row["effects"][0]["p"] is not None:
            comparisons.setdefault(_comparison(row), []).append(row)
    for verdict in ("supported", "refuted"):
        p_values = [_raised_p(same[0], verdict) for same in comparisons.values()]
        adjusted = benjamini_hochberg(p_values)
        for same, p in zip(comparisons.values(), adjusted, strict=True):
            for row in same:
                if row["alone"] == verdict or (
                    verdict == "supported" and row["alone"] == "inconclusive"
                ):
                    row["effects"][0]["p_adjusted"] = p
                    _withdraw(row, verdict, p, len(comparisons))


def _comparison(row: Row) -> Hashable:
    """Name what a row compares: rows with the same name are the same evidence."""
    effect = row["effects"][0]
    cell = (row["model"], row["dataset"], row["n_demonstrations"])
    numbers = (effect["value"], effect["margin"], row["p_supported"], row["p_refuted"])
    return (*cell, *numbers, tuple(effect["sets"] or ()))


def _raised_p(row: Row, verdict: str) -> float:
    return max(float(row[f"p_{verdict}"]), least_p(row["effects"][0]["n_sets"]))


def _withdraw(row: Row, verdict: str, p: float, n_comparisons: int) -> None:
    if row["alone"] == verdict and p > ALPHA:
        row["verdict"] = "inconclusive"
        row["reason"] = (
            f"{verdict} alone, but not after the correction for the {n_comparisons} "
            f"distinct comparisons of this matrix (adjusted p = {p:.3f})"
        )
