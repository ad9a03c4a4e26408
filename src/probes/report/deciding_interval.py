"""Find the interval that decides a cell, which may be wider than the one in its row.

A row holds one interval: that of *supported*, whose two one-sided tests at α are one
interval of level 1 − 2α. *Refuted*, of a claim with two sides, is tested on both sides
at α together, so its interval has the level 1 − α. A cell can lie outside the margin by
the first interval and be inconclusive by the second, so that one must be shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from probes.report.common_scale import scale_of
from probes.report.measure_ranges import interval_of
from probes.results.rows import Row
from probes.verdicts.thresholds import FEW_FACTOR, are_few

LEAST_P, MOST_P = 1e-6, 0.9
"""A p outside says too little of where the margin lies on the curve."""
CLOSE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An interval with its level; None is an open end."""

    low: float | None
    high: float | None
    level: float


def deciding_interval(row: Row) -> Interval | None:
    """Return the interval that decides the main effect of a row; None without one.

    Returns:
        The row's own interval, or, for a claim with two sides whose effect is outside
        its margin, the wider one of *refuted*.
    """
    if not row["effects"]:
        return None
    effect = row["effects"][0]
    if effect["level"] is None or effect["low"] is effect["high"] is None:
        return None
    own = Interval(**_ends(effect), level=effect["level"])
    is_outside = (
        scale_of(row) == "within"
        and effect["value"] is not None
        and abs(effect["value"]) > effect["margin"]
    )
    return refuting_interval(row) or own if is_outside else own


def refuting_interval(row: Row) -> Interval | None:
    """Estimate the interval of *refuted* of a claim with two sides.

    The row has the end of one interval and the p-value of the margin: two points of the
    same curve from ends to p. The new ends lie on it, in steps of Student's t. So the
    interval excludes the margin exactly if the cell was refuted before correction.

    Returns:
        None if the claim has one side, or if the row has no interval.
    """
    effect = row["effects"][0] if row["effects"] else None
    if effect is None or scale_of(row) != "within" or effect["level"] is None:
        return None
    value, low, high = (effect[k] for k in ("value", "low", "high"))
    if None in (value, low, high):
        return None
    level = (1 + effect["level"]) / 2
    wider = _ratio(effect, level)
    low, high = value + wider * (low - value), value + wider * (high - value)
    if (end := _end_by_p(row, effect)) is not None:
        low, high = (end, high) if value > 0 else (low, end)
    ends = _ends({**effect, "low": low, "high": high})
    return Interval(**ends, level=level)


def _ends(effect: dict[str, Any]) -> dict[str, float | None]:
    low, high = interval_of(effect)
    return {"low": low, "high": high}


def _quantile(effect: dict[str, Any], level: float) -> float:
    """Return Student's t of an interval's level, for the sets of an effect."""
    from scipy.special import stdtrit

    return float(stdtrit(max(effect["n_sets"] - 1, 1), (1 + level) / 2))


def _ratio(effect: dict[str, Any], level: float) -> float:
    return _quantile(effect, level) / _quantile(effect, effect["level"])


def _end_by_p(row: Row, effect: dict[str, Any]) -> float | None:
    """Return the end towards 0, placed by p of *refuted*; None if p says nothing."""
    p, margin, size = row["p_refuted"], effect["margin"], abs(effect["value"])
    if p is None or not LEAST_P < p < MOST_P or size <= margin or row.get("looks"):
        return None
    side = 1 if effect["value"] > 0 else -1
    near = effect["low"] if side > 0 else -effect["high"]
    factor = FEW_FACTOR if are_few((effect["n_sets"], effect["n_queries"])) else 1
    at_margin = _quantile(effect, 1 - p / factor)
    at_near = _quantile(effect, effect["level"])
    if abs(at_near - at_margin) < CLOSE:
        return None
    wanted = _quantile(effect, (1 + effect["level"]) / 2)
    slope = (near - margin) / (at_near - at_margin)
    return side * float(min(margin + slope * (wanted - at_margin), size))
