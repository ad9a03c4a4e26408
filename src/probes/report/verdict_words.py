"""Say a verdict in words that a colleague understands, with the numbers that decide."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from probes.report.common_scale import scale_of
from probes.report.deciding_interval import deciding_interval
from probes.report.matrix import plain
from probes.report.measure_ranges import SHARE
from probes.report.number_text import (
    effect_text,
    interval_text,
    short_interval,
    short_number,
)
from probes.results.rows import Row

ENDINGS = (f", {SHARE} from floor to ceiling", " difference")
BARE_UNITS = ("fraction", "similarity", "cosine", "correlation", "probability", "ratio")
"""Units of pure numbers, which a sentence does not need."""
SCALES = (" size", " variance", " effect")
"""Units that the number is a multiple of."""


def verdict_in_words(row: Row) -> str:
    """Say in one or two sentences what was found, and what would have counted.

    Args:
        row: A row, see :mod:`probes.results.row_shape`.

    Returns:
        The effect, the interval that decides it, and the margin. An error or a cell
        without numbers: its reason.
    """
    if row["verdict"] == "error" or not row["effects"]:
        return plain(row["reason"], 2000) or "no reason is known"
    effect, kind = row["effects"][0], scale_of(row)
    if row["verdict"] == "not_applicable" or kind in ("raw", "value"):
        return _inapplicable(row, effect)
    said, wanted = _SENTENCES[kind](row, effect)
    return f"{said[:1].upper()}{said[1:]}; {wanted}."


def main_effect_text(row: Row) -> str:
    """Write the effect that carries the verdict, with the interval that decides.

    Returns:
        Name, value, the row's interval, the wider one if that decides, and the unit.
    """
    effect = row["effects"][0]
    text, wider = effect_text(effect), deciding_interval(row)
    if wider is None or wider.level == effect["level"]:
        return text
    unit = plain(effect["unit"], 40)
    ends = interval_text(wider.low, wider.high)
    said = f"{100 * wider.level:.3g} % {ends}"
    return f"{text.removesuffix(unit).strip()}, {said} {unit}".strip()


def measure_name(effect: Mapping[str, Any]) -> str:
    """Return the name of what was measured, without how it is compared."""
    name = plain(effect["name"])
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    return name


def with_unit(value: float | None, unit: str) -> str:
    """Write a number with its unit, unless it is a pure number."""
    said = short_number(value)
    if unit in BARE_UNITS:
        return said
    times = "× " if unit.endswith(SCALES) else ""
    return f"{said} {times}{plain(unit, 40)}"


def _inapplicable(row: Row, effect: Mapping[str, Any]) -> str:
    """Give the reason, and the number behind it."""
    reason = plain(row["reason"], 2000) or "there is nothing to judge"
    if effect["level"] is None or effect["value"] is None:
        return f"{reason[:1].upper()}{reason[1:]}."
    number = with_unit(effect["value"], effect["unit"])
    found = f"{plain(effect['name'])} is {number}{_interval_text(row)}"
    clearly = "" if effect["margin"] is not None else "; it should be clearly above 0"
    return f"{reason[:1].upper()}{reason[1:]}: {found}{clearly}."


def _within(row: Row, effect: Mapping[str, Any]) -> tuple[str, str]:
    """Compare two sides, by their own values if the row has them."""
    margin = with_unit(effect["margin"], effect["unit"])
    counts = _counts(row["verdict"])
    wanted = f"a difference below {margin} {counts} as equal"
    if sides := _sides(row, effect):
        # "GD is right .03 more often" is a number of the other sign.
        return sides + _interval_text(row, is_turned=effect["value"] < 0), wanted
    return _differs(effect) + _interval_text(row), wanted


def _counts(verdict: str) -> str:
    return "counts" if verdict == "supported" else "would have counted"


def _differs(effect: Mapping[str, Any]) -> str:
    name, value = measure_name(effect), with_unit(effect["value"], effect["unit"])
    return f"the difference in {name} is {value}"


def _sides(row: Row, effect: Mapping[str, Any]) -> str:
    """Say which side has more; empty if the row does not show both sides."""
    name, value = measure_name(effect), effect["value"]
    arms = {
        plain(one["name"])[len(name) + 2 :]: one["value"]
        for one in row["effects"][1:]
        if plain(one["name"]).startswith(f"{name}: ") and one["value"] is not None
    }
    ours = arms.pop("ICL", None)
    theirs = [
        (arm, x)
        for arm, x in arms.items()
        if ours is not None
        and math.isclose(ours - x, value, rel_tol=1e-6, abs_tol=1e-9)
    ]
    if not theirs or value == 0:
        return ""
    (arm, x), size = theirs[0], with_unit(abs(value), effect["unit"])
    values = f"({short_number(x)} against {short_number(ours)})"
    if arm.startswith("noise "):
        often = "less" if value > 0 else "more"
        noisy = f"with {arm} in the weights, ICL is right {size} {often} often"
        return f"{noisy} than without {values}"
    if name.endswith("accuracy"):
        often = "less" if value > 0 else "more"
        return f"{arm} is right {size} {often} often than ICL {values}"
    than = "lower" if value > 0 else "higher"
    return f"{name} is {size} {than} for {arm} than for ICL {values}"


def _share(row: Row, effect: Mapping[str, Any]) -> tuple[str, str]:
    floor, ceiling = (short_number(effect[k]) for k in ("floor", "ceiling"))
    value, needed = short_number(effect["value"]), short_number(1 - effect["margin"])
    own = f"{measure_name(effect)}: the learner"
    reached = [e["value"] for e in row["effects"][1:] if plain(e["name"]) == own]
    ours = f"GD {short_number(reached[0])}, " if reached else ""
    said = (
        f"likeness to ICL by {measure_name(effect)}: {ours}no learning {floor}, ICL in "
        f"another order {ceiling}; from no learning (0) to ICL (1), GD is at {value}"
    )
    wanted = f"{needed} or more {_counts(row['verdict'])} as alike"
    return said + _interval_text(row) + _less_like(effect["value"]), wanted


def _less_like(share: float | None) -> str:
    """Say what a share below 0 means."""
    below = share is not None and share < 0
    return " (below 0: less like ICL than no learning)" if below else ""


def _below(row: Row, effect: Mapping[str, Any]) -> tuple[str, str]:
    value, margin = (with_unit(effect[k], effect["unit"]) for k in ("value", "margin"))
    counts = _counts(row["verdict"])
    said = f"{plain(effect['name'])} is {value}{_interval_text(row)}"
    return said, f"below {margin} it {counts} as none"


def _above(row: Row, effect: Mapping[str, Any]) -> tuple[str, str]:
    value, margin = (with_unit(effect[k], effect["unit"]) for k in ("value", "margin"))
    name = plain(effect["name"])
    return f"{name} is {value}{_interval_text(row)}", f"more than {margin} was needed"


_SENTENCES = {"within": _within, "share": _share, "below": _below, "above": _above}


def _interval_text(row: Row, *, is_turned: bool = False) -> str:
    """Write the interval that decides, with its level; empty if there is none.

    Args:
        row: The row.
        is_turned: Whether the sentence before it states the effect with its sign
            changed.
    """
    found = deciding_interval(row)
    if found is None:
        return ""
    ends = [-x if is_turned and x is not None else x for x in (found.low, found.high)]
    low, high = reversed(ends) if is_turned else ends
    return f", {100 * found.level:.3g} % interval {short_interval(low, high)}"
