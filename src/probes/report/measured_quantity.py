"""Say what the number of an effect is: the measure, the comparison and the unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from probes.report.headline import JUDGED
from probes.report.matrix import plain
from probes.report.measure_ranges import SHARE
from probes.report.verdict_words import BARE_UNITS, SCALES
from probes.results.rows import Row

ENDS = " from floor to ceiling"


def quantity_of(effect: Mapping[str, Any]) -> str:
    """Name what an effect measures, with its unit unless it is a pure number.

    Returns:
        Such as "token overlap, share of the way from floor to ceiling", or "prediction
        distance, × answer size".
    """
    name, unit = plain(effect["name"]), plain(effect["unit"], 40)
    if not unit or unit in BARE_UNITS or SHARE in name:
        return name
    return f"{name}, {'× ' if unit.endswith(SCALES) else ''}{unit}"


def quantity_of_line(rows: Iterable[Row]) -> str:
    """Name what most judged cells of a line measure, briefly; empty without any."""
    found = Counter(
        quantity_of(row["effects"][0])
        for row in rows
        if row["verdict"] in JUDGED
        and row["effects"]
        and row["effects"][0]["margin"] is not None
    )
    return found.most_common(1)[0][0].replace(f"{SHARE}{ENDS}", SHARE) if found else ""
