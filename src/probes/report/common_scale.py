"""Place the effects of all claims on one scale: how far each is beyond its margin.

The unit is the claim's own margin. At 0 the margin is met exactly; below 0 the claim is
supported, above 0 it is refuted. So one picture can hold claims with any measure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from probes.results.rows import Row

LEAST, MOST = -1.5, 5.0
"""The ends of the drawn axis; effects beyond them are drawn at the ends."""
PLACED = ("share", "below", "above", "within")
"""Scales of effects that have a place on the axis, see :func:`scale_of`."""
TICKS = (
    *((-1.0, "0"), (-0.5, "½"), (0.0, "margin")),
    *((1.0, "2×"), (2.0, "4×"), (3.0, "8×"), (4.0, "16×"), (5.0, "32×")),
)


@dataclass(frozen=True, kw_only=True)
class Excess:
    """How far an effect is beyond its margin, in margins; None: an open end."""

    value: float
    low: float | None
    high: float | None


def scale_of(row: Row) -> str:
    """Say on which scale the main effect is drawn.

    Returns:
        ``share``: the share of the way from floor to ceiling, supported above
        1 − margin; ``raw``: floor and ceiling in the measure's own unit; ``below``:
        supported below the margin; ``above``: above it; ``within``: within ±margin;
        ``value``: no bounds, or the side of the margin is not known.
    """
    if not row["effects"]:
        return "value"
    effect = row["effects"][0]
    if effect["floor"] is not None and effect["ceiling"] is not None:
        # No interval: the ceiling is not above the floor, so there is no share.
        return "raw" if effect["level"] is None else "share"
    if effect["margin"] is None:
        return "value"
    if effect["level"] is None:
        return _side_of_census(row, effect)
    if "has_two_sides" in effect:
        return "within" if effect["has_two_sides"] else _side_of(row, effect)
    inside, outside = row["p_supported"], row["p_refuted"]
    # Rows of earlier versions do not name their sides; one-sided p-values sum to 1.
    complementary = None not in (inside, outside) and abs(inside + outside - 1) < 1e-9
    is_far_below = row["alone"] == "refuted" and (effect["value"] or 0) < 0
    return "below" if complementary and not is_far_below else "within"


def _side_of(row: Row, effect: Mapping[str, Any]) -> str:
    """Say on which side of its margin a one-sided claim is supported.

    The estimate lies on the side with the smaller p. If both are equal, the side is not
    known: with few sets, p is multiplied, and both may reach 1.
    """
    inside, outside, value = row["p_supported"], row["p_refuted"], effect["value"]
    if None in (inside, outside, value) or inside == outside:
        return "value"
    return "below" if (value < effect["margin"]) == (inside < outside) else "above"


def _side_of_census(row: Row, effect: Mapping[str, Any]) -> str:
    """Say the side where nothing was sampled, so that the verdict follows the value.

    A largest error is always supported below its tolerance. Its claim may be refuted
    all the same, on the worst task that a search found.
    """
    value, is_decided = effect["value"], row["alone"] in ("supported", "refuted")
    if value is None or not is_decided or effect["name"].startswith("largest "):
        return "below"
    is_below = value <= effect["margin"]
    return "below" if is_below == (row["alone"] == "supported") else "above"


def excess_of(row: Row) -> Excess | None:
    """Measure how far the main effect is beyond its margin; None without a margin.

    Returns:
        In margins: −1 is no difference at all, or the ceiling; 1 is twice the margin.
    """
    kind = scale_of(row)
    if kind not in PLACED:
        return None
    effect = row["effects"][0]
    value, margin = effect["value"], effect["margin"]
    if value is None or not math.isfinite(value) or not margin > 0:
        return None
    low, high = effect["low"], effect["high"]
    if kind == "within":
        return _of_two_sides(value, low, high, margin)
    if kind == "below":
        return Excess(
            value=value / margin - 1,
            low=None if low is None else low / margin - 1,
            high=None if high is None else high / margin - 1,
        )
    # More is better here, so the ends change places.
    target = 1 - margin if kind == "share" else margin
    return Excess(
        value=(target - value) / margin,
        low=None if high is None else (target - high) / margin,
        high=None if low is None else (target - low) / margin,
    )


def _of_two_sides(
    value: float, low: float | None, high: float | None, margin: float
) -> Excess:
    if low is None or high is None:
        return Excess(value=abs(value) / margin - 1, low=None, high=None)
    nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    farthest = max(abs(low), abs(high))
    return Excess(
        value=abs(value) / margin - 1,
        low=nearest / margin - 1,
        high=farthest / margin - 1,
    )


def position(excess: float) -> float:
    """Place an excess on the drawn axis, between ``LEAST`` and ``MOST``.

    Up to the margin the axis is linear; beyond it, each step doubles the distance.
    """
    bent = math.log2(1 + excess) if excess > 0 else excess
    return min(max(bent, LEAST), MOST)
