"""Say what would decide a cell that is not decided."""

from __future__ import annotations

import re
from typing import Literal

from probes.report.common_scale import scale_of
from probes.report.matrix import plain
from probes.results.rows import Row

SETS_ADVISED = re.compile(r"about (\d+)")
Need = Literal["sets", "search", "queries", "gain", "groups", "data"]
LACKING: dict[Need, str] = {
    "sets": "too few sets",
    "search": "GD's search unfinished",
    "queries": "too few queries",
    "gain": "ICL's gain unclear",
    "groups": "too few groups of rows",
    "data": "too little data",
}
"""What an inconclusive cell lacks, in words."""


def advice_for(row: Row) -> str:
    """Say what would decide a cell; empty if it is decided."""
    if row["verdict"] == "inconclusive":
        return _for_inconclusive(row)
    if row["verdict"] == "not_applicable":
        return _for_inapplicable(row)
    return (
        "Mend the error, and run the cell again." if row["verdict"] == "error" else ""
    )


def need_of(row: Row) -> Need:
    """Name what an inconclusive cell lacks most."""
    reason, effects = plain(row["reason"], 2000), row["effects"]
    if "--effort" in reason or "--rates" in reason:
        return "search"
    if effects and effects[0].get("counts_groups"):
        return "groups"
    if row["alone"] != "inconclusive":
        return "sets"
    if "queries do" in reason:
        return "queries"
    if effects and effects[0]["margin"] is None:
        return "gain"
    return "data" if "pass --" in reason else "sets"


def _for_inconclusive(row: Row) -> str:
    reason, need = plain(row["reason"], 2000), need_of(row)
    if need == "groups":
        return (
            "More groups of rows in the data, or a verdict on these groups alone "
            "(without --new-groups)."
        )
    if row["alone"] != "inconclusive":
        return (
            f"Alone the cell is {row['alone']}. More sets (--sets) would keep it so "
            f"among the other cells of the matrix."
        )
    if "--rates" in reason:
        return "Other --rates or --passes; or neither, to search for the best of both."
    if need == "search":
        return "A longer search for GD's rate and passes: a larger --effort."
    if need == "queries":
        return "More queries (--queries); at this effect no number of sets does."
    if advised := SETS_ADVISED.search(reason):
        return f"More demonstration sets: --sets {advised[1]}, if the effect stays."
    if need == "data":
        return f"More data: {reason.partition('pass ')[2]}."
    return "More demonstration sets (--sets)."


def _for_inapplicable(row: Row) -> str:
    if not row["effects"]:
        return ""
    effect = row["effects"][0]
    if scale_of(row) == "raw":
        return (
            "A ceiling that is clearly above the floor: more demonstration sets "
            "(--sets), or a dataset on which ICL is more like itself."
        )
    if effect["level"] is None or effect["value"] is None:
        return ""
    more = " Its estimate is above 0, so more sets (--sets) may show it."
    return (
        "A model, a dataset or a number of demonstrations with which ICL learns "
        f"more.{more if effect['value'] > 0 else ''}"
    )
