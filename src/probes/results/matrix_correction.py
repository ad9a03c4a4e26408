"""Correct the verdicts of a run for the number of its cells."""

from __future__ import annotations

from collections.abc import Iterable

from probes.results.rows import Row
from probes.verdicts.false_discovery import benjamini_hochberg
from probes.verdicts.thresholds import ALPHA, least_p


def correct_verdicts(rows: Iterable[Row]) -> None:
    """Adjust p-values over the whole matrix, and withdraw verdicts that fail.

    *Supported* and *refuted* are each corrected by Benjamini–Hochberg over all tested
    cells. First, each p of *supported* is raised to the least p that the cell's number
    of sets allows (:func:`~probes.verdicts.thresholds.least_p`). A verdict whose
    adjusted p is above ALPHA becomes inconclusive. ``alone`` keeps the cell's own
    verdict, which its test reports.

    A correction within each claim would be weaker: a matrix of eight claims in which
    nothing holds would have a false *supported* several times as often (see
    ``reports/calibration``).
    """
    tested = [row for row in rows if row["effects"] and _p_of(row) is not None]
    for verdict in ("supported", "refuted"):
        p_values = [_raised_p(row, verdict) for row in tested]
        for row, p in zip(tested, benjamini_hochberg(p_values), strict=True):
            if row["alone"] == verdict or (
                verdict == "supported" and row["alone"] == "inconclusive"
            ):
                row["effects"][0]["p_adjusted"] = p
                _withdraw(row, verdict, p, len(tested))


def _raised_p(row: Row, verdict: str) -> float:
    p = float(row[f"p_{verdict}"])
    if verdict == "supported":
        return max(p, least_p(row["effects"][0]["n_sets"]))
    return p


def _p_of(row: Row) -> float | None:
    found: float | None = row["effects"][0]["p"]
    return found


def _withdraw(row: Row, verdict: str, p: float, n_cells: int) -> None:
    if row["alone"] == verdict and p > ALPHA:
        row["verdict"] = "inconclusive"
        row["reason"] = (
            f"{verdict} alone, but not among the {n_cells} cells of this matrix "
            f"(adjusted p = {p:.3f})"
        )
