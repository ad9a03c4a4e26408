"""Say what the number of an effect is: the measure, the comparison and the unit.

And which numbers support the claim: its target.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from probes.report.common_scale import PLACED, scale_of
from probes.report.headline import JUDGED
from probes.report.matrix import plain
from probes.report.measure_ranges import SHARE
from probes.report.number_text import short_number
from probes.report.verdict_words import BARE_UNITS, SCALES
from probes.results.rows import Row

STATED = f", {SHARE} from floor to ceiling"
"""How a row names the scale from floor to ceiling."""
SAID = " (no learning 0, ICL 1)"
"""How a page names it."""


def quantity_of(effect: Mapping[str, Any]) -> str:
    """Name what an effect measures, with its unit unless it is a pure number.

    Returns:
        Such as "token overlap (no learning 0, ICL 1)", or "prediction distance,
        × answer size".
    """
    name, unit = plain(effect["name"]), plain(effect["unit"], 40)
    if SHARE in name:
        return name.replace(STATED, SAID)
    if not unit or unit in BARE_UNITS:
        return name
    return f"{name}, {'× ' if unit.endswith(SCALES) else ''}{unit}"


def target_of(row: Row) -> str:
    """Say where the whole interval of a cell must lie for its claim to be supported.

    Returns:
        Such as "at least .9", "within ±.1" or "below .05", in the unit of the effect;
        empty for a cell without a margin, or whose side of the margin is not known.
    """
    kind = scale_of(row)
    if kind not in PLACED or row["effects"][0]["margin"] is None:
        return ""
    effect = row["effects"][0]
    if kind == "share":
        return f"at least {short_number(1 - effect['margin'])}"
    side = {"within": "within ±", "below": "below ", "above": "above "}[kind]
    return side + short_number(effect["margin"])


def quantity_of_line(rows: Iterable[Row]) -> tuple[str, str]:
    """Name what most judged cells of a line measure, and their target.

    Returns:
        Two empty texts if no cell was judged.
    """
    found = Counter(
        (quantity_of(row["effects"][0]), target_of(row))
        for row in rows
        if row["verdict"] in JUDGED
        and row["effects"]
        and row["effects"][0]["margin"] is not None
    )
    return found.most_common(1)[0][0] if found else ("", "")
