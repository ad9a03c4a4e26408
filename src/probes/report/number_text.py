"""Write numbers: in four digits where there is room, in two where there is not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from probes.report.matrix import TEXT_LIMIT, plain
from probes.report.measure_ranges import interval_of


def number(value: float | None, digits: int = 4) -> str:
    """Write a number, or a dash for None."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}g}"


def effect_text(effect: Mapping[str, Any], limit: int = TEXT_LIMIT) -> str:
    """Write name, value, interval and unit of an effect in one line."""
    parts = [plain(effect["name"], limit), number(effect["value"])]
    if effect["low"] is not None or effect["high"] is not None:
        parts.append(interval_text(*interval_of(effect)))
    return " ".join([*parts, plain(effect["unit"], 40)]).strip()


def interval_text(low: float | None, high: float | None) -> str:
    """Write an interval; None is an open end."""
    first = "-∞" if low is None else number(low)
    return f"[{first}, {'∞' if high is None else number(high)}]"


def short_number(value: float | None, *, digits: int = 2) -> str:
    """Write a number in few digits and letters, such as .29, −1.2 or 3e−15.

    A number in the middle of two goes to the larger one, as in JavaScript: Python's own
    formats prefer the even one.
    """
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size == 0:
        return "0"
    if 1e-3 <= size < 1e3:
        # From 9.5 on, all digits before the point are written.
        digits = Decimal(size).adjusted() + 1 if size >= 9.5 else digits
        rounded = float(_rounded(size, digits))
        text = f"{rounded:.0f}" if size >= 9.5 else f"{rounded:.{digits}g}"
        text = text.removeprefix("0") if text.startswith("0.") else text
    else:
        first, _, power = f"{_rounded(size, 1):.0e}".partition("e")
        text = f"{first}e{int(power)}"
    return f"{'-' if value < 0 else ''}{text}".replace("-", "−")


def short_interval(low: float | None, high: float | None) -> str:
    """Write an interval in few digits; None is an open end."""
    first = "−∞" if low is None else short_number(low)
    return f"[{first}, {'∞' if high is None else short_number(high)}]"


def _rounded(size: float, digits: int) -> Decimal:
    """Round the exact value of a float, halves away from 0."""
    return Context(prec=digits, rounding=ROUND_HALF_UP).create_decimal(Decimal(size))
