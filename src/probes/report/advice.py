"""Say what would decide a cell that is not decided."""

from __future__ import annotations

import re

from probes.report.common_scale import scale_of
from probes.report.matrix import plain
from probes.results.rows import Row

SETS_ADVISED = re.compile(r"about (\d+)")


def advice_for(row: Row) -> str:
    """Say what would decide a cell; empty if it is decided."""
    if row["verdict"] == "inconclusive":
        return _for_undecided(row)
    if row["verdict"] == "not_applicable":
        return _for_inapplicable(row)
    return (
        "Mend the error, and run the cell again." if row["verdict"] == "error" else ""
    )


def _for_undecided(row: Row) -> str:
    reason = plain(row["reason"], 2000)
    are_groups = row["effects"] and row["effects"][0].get("counts_groups")
    is_of_search = "--effort" in reason or "--rates" in reason
    if are_groups and not is_of_search:
        return (
            "More groups of rows in the data, or a verdict on these groups alone "
            "(without --new-groups)."
        )
    if row["alone"] != "inconclusive":
        return (
            f"Alone the cell is {row['alone']}. More sets (--sets) would keep it so "
            f"among the other cells of the matrix."
        )
    if "--effort" in reason:
        return "A longer search for GD's rate and passes: a larger --effort."
    if "--rates" in reason:
        return "Other --rates or --passes; or neither, to search for the best of both."
    if "queries do" in reason:
        return "More queries (--queries); at this effect no number of sets does."
    if advised := SETS_ADVISED.search(reason):
        return f"More demonstration sets: --sets {advised[1]}, if the effect stays."
    if "pass --" in reason:
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
