"""How many sets each claim needs, and which cells a run cannot decide.

The variances come from the rows of an earlier run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import median_high
from typing import Any

from probes.cell import Settings
from probes.results.rows import row_id
from probes.verdicts.crossed_means import Components
from probes.verdicts.power import sets_for_equivalence, sets_needed
from probes.verdicts.thresholds import ALPHA, FEW_SETS, LEAST_SETS, POWER

MOST_NAMED = 10
"""Inconclusive cells that the plan names; it counts the rest."""


def power_lines(
    rows: Iterable[Mapping[str, Any]],
    *,
    cells: Collection[str],
    settings: Settings,
) -> list[str]:
    """Say for each claim how many sets give a power of .8.

    The true effect is assumed to be in the middle of the margin: no difference, or the
    ceiling itself. A cell that needs more sets even then cannot be decided.

    Args:
        rows: Rows of an earlier run, for the variances.
        cells: Names of the planned cells; rows of other cells are ignored.
        settings: Sizes of the planned run.
    """
    needs: dict[str, list[int | None]] = defaultdict(list)
    inconclusive = []
    for row in (row for row in rows if row_id(row) in cells):
        effect = row["effects"][0] if row["effects"] else {}
        if not effect.get("components") or not effect.get("margin"):
            continue
        if effect.get("counts_groups"):
            continue  # its units are groups, of which a run cannot have more
        needed = needed_sets(effect, settings.n_queries)
        needs[row["claim"].partition("[")[0]].append(needed)
        if needed is None or settings.n_sets < max(needed, FEW_SETS):
            inconclusive.append(_cell_line(row, needed))
    if not needs:
        return [
            "No earlier run has variances of these cells, so their power is not known "
            f"yet. A run with --sets {LEAST_SETS} is a sufficient pilot."
        ]
    n_known = sum(map(len, needs.values()))
    return [
        f"Sets for a power of {POWER:g} at {settings.n_queries} queries, if the truth "
        f"is in the middle of the margin. The correction over the matrix needs more. "
        f"Variances are known for {n_known} of {len(cells)} cells.",
        f"{'claim':<44}{'cells':>6}{'median':>8}{'most':>10}",
        *(_claim_line(claim, needed) for claim, needed in sorted(needs.items())),
        *_inconclusive_lines(inconclusive, settings.n_sets),
    ]


def needed_sets(effect: Mapping[str, Any], n_queries: int) -> int | None:
    """Count the sets for a power of .8 if the truth is in the middle of the margin.

    Args:
        effect: The first effect of a row, with its margin and its components.
        n_queries: Queries of each set.

    Returns:
        The number of sets; None if no number is enough.
    """
    sizes: dict[str, Any] = {
        "n_queries": n_queries,
        "alpha": ALPHA,
        "target_power": POWER,
    }
    parts = Components(**effect["components"])
    if effect.get("has_two_sides"):
        return sets_for_equivalence(parts, effect=0.0, margin=effect["margin"], **sizes)
    return sets_needed(parts, gap=effect["margin"], **sizes)


def _claim_line(claim: str, needed: Sequence[int | None]) -> str:
    known = sorted(max(n, FEW_SETS) for n in needed if n is not None)
    middle = str(median_high(known)) if known else ""
    most = "no number" if None in needed else str(known[-1])
    return f"{claim:<44}{len(needed):>6}{middle:>8}{most:>10}"


def _cell_line(row: Mapping[str, Any], needed: int | None) -> str:
    cell = " · ".join(str(row[k]) for k in ("claim", "model", "dataset"))
    advice = "no number of sets is enough; use more queries"
    if needed is not None:
        advice = f"needs {max(needed, FEW_SETS)} sets"
    return f"{cell} · {row['n_demonstrations']} demonstrations: {advice}"


def _inconclusive_lines(cells: Sequence[str], n_sets: int) -> list[str]:
    n_more = len(cells) - MOST_NAMED
    return [
        f"With {n_sets} sets even a true claim is likely to stay inconclusive in "
        f"{len(cells)} cells",
        *(f"  {line}" for line in cells[:MOST_NAMED]),
        *([f"  and {n_more} more"] if n_more > 0 else []),
    ]
