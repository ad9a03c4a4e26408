"""Sum up the cells of one entry of the matrix: letters, the median effect, its range.

The page's script ``entries.js`` does the same for the cells that a filter leaves, and a
test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from probes.report.common_scale import PLACED, scale_of
from probes.report.headline import JUDGED
from probes.report.matrix import LETTERS, count_verdicts
from probes.report.number_text import short_number
from probes.results.rows import Row, is_unexpected

NOTHING = "–"
"""An entry without a judged cell."""
LEAST = 1e-12
"""A smaller effect is what rounding leaves of 0, so an entry has it as 0."""


@dataclass(frozen=True, kw_only=True)
class EntrySummary:
    """What an entry shows.

    Attributes:
        letters: The verdicts of its judged cells with their letters; counts follow the
            letters if the verdicts differ. Cells to which the claim does not apply
            count only if there are no others.
        effect: The effect, or the median of several; empty if they have no common unit.
        spread: The smallest and the largest of several effects.
        is_unexpected: Whether a cell crashed or differs from its record.
    """

    letters: tuple[tuple[str, str], ...] = ()
    effect: str = ""
    spread: str = ""
    is_unexpected: bool = False

    @property
    def short(self) -> str:
        """The entry in few letters, such as ``R .29``, or ``S1R3 .29``."""
        letters = "".join(text for _, text in self.letters)
        mark = "!" if self.is_unexpected else ""
        return f"{letters}{mark} {self.effect}".strip()


def summarise_entry(
    rows: Sequence[Row], *, spread_digits: int = 1, least: float = LEAST
) -> EntrySummary:
    """Sum up the cells of an entry; an entry without cells is empty.

    Args:
        rows: The cells.
        spread_digits: Digits of the ends of the range.
        least: Smaller effects are written as 0.
    """
    counts = count_verdicts(rows)
    told = {v: n for v, n in counts.items() if v != "not_applicable"}
    if not told:
        letters = (("not_applicable", NOTHING),) if counts else ()
        return EntrySummary(letters=letters)
    alone = len(told) == 1
    effect, spread = _effects(rows, spread_digits, least)
    return EntrySummary(
        letters=tuple(
            (v, f"{LETTERS[v]}{'' if alone else n}") for v, n in told.items()
        ),
        effect=effect,
        spread=spread if alone else "",
        is_unexpected=any(map(is_unexpected, rows)),
    )


def _effects(rows: Sequence[Row], digits: int, least: float) -> tuple[str, str]:
    """Write the median and the range of the judged effects, if they are comparable."""
    judged = [
        row
        for row in rows
        # Without a margin it is an inconclusive gate's gain, not the claim's effect.
        if row["verdict"] in JUDGED
        and row["effects"]
        and row["effects"][0]["margin"] is not None
    ]
    # Where some have a place on the common scale, the others say less.
    placed = [row for row in judged if scale_of(row) in PLACED] or judged
    if len({(scale_of(row), row["effects"][0]["unit"]) for row in placed}) != 1:
        return "", ""
    known = [row["effects"][0]["value"] for row in placed]
    values = [_readable(value, least) for value in known if value is not None]
    if not values:
        return "", ""
    low, high = (short_number(x, digits=digits) for x in (min(values), max(values)))
    dash = " to " if low.startswith("−") else "–"
    spread = f"{low}{dash}{high}" if low != high else ""
    return short_number(median(values)), spread


def _readable(value: float, least: float) -> float:
    """Round an effect as the page's data do, and to 0 if it is next to nothing."""
    return 0.0 if abs(value) < least else float(f"{value:.4g}")
