"""Gather the forest of all claims: effects in margins, by claim and kind of network.

Pure: rows in, numbers out. :mod:`probes.report.forest_plot` draws them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from probes.report.claim_lines import UNJUDGED, lines_by_kind, position_of
from probes.report.common_scale import Excess, excess_of, position
from probes.report.headline import JUDGED, models_by_kind
from probes.report.matrix import Matrix
from probes.results.rows import Row


@dataclass(frozen=True, kw_only=True)
class ForestMark:
    """The cells of a claim with one verdict, on one kind of network.

    All places are on the axis of :mod:`probes.report.common_scale`.

    Attributes:
        verdict: Their verdict, after correction.
        count: How many they are.
        at: The median of their effects.
        effects: The smallest and the largest effect.
        reach: The outermost ends of their intervals; an open end reaches the axis' end.
    """

    verdict: str
    count: int
    at: float
    effects: tuple[float, float]
    reach: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Forest:
    """Every judged claim with its marks.

    Attributes:
        kinds: Kinds of network with a judged claim, in the order of all drawings.
        lines: For each claim, without its variants, the marks of each kind.
    """

    kinds: Sequence[str]
    lines: Mapping[str, Mapping[str, Sequence[ForestMark]]]


def forest_of(matrix: Matrix) -> Forest:
    """Place every claim that was judged; identities have no place.

    Returns:
        Claims grouped by the first kind of network on which they were judged, the ones
        that come closest to holding first.
    """
    models = models_by_kind(matrix)
    lines: dict[str, dict[str, list[ForestMark]]] = {}
    for group, claims in lines_by_kind(matrix).items():
        for claim in claims if group != UNJUDGED else ():
            marks = {
                kind: list(_marks(claim.cells(matrix, own)))
                for kind, own in models.items()
            }
            if any(marks.values()):
                lines[claim.name] = marks
    kinds = [kind for kind in models if any(line[kind] for line in lines.values())]
    return Forest(kinds=kinds, lines=lines)


def _marks(cells: Sequence[Row]) -> Iterator[ForestMark]:
    for verdict in JUDGED:
        alike = [row for row in cells if row["verdict"] == verdict]
        place = position_of(alike)
        if place is None:
            continue
        found = [excess for row in alike if (excess := excess_of(row)) is not None]
        effects = [position(excess.value) for excess in found]
        reach = [position(end) for excess in found for end in _ends(excess)]
        yield ForestMark(
            verdict=verdict,
            count=len(found),
            at=place,
            effects=(min(effects), max(effects)),
            reach=(min(reach), max(reach)),
        )


def _ends(excess: Excess) -> tuple[float, float]:
    """Give the ends of an interval; the effect itself without one."""
    low, high = excess.low, excess.high
    if low is None and high is None:
        return excess.value, excess.value
    return (
        -float("inf") if low is None else low,
        float("inf") if high is None else high,
    )
