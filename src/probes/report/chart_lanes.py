"""Place claims in the lanes of the chart of effects: one for each network, or kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from probes.report.claim_lines import ClaimLine, fold_variants, position_of
from probes.report.claim_titles import title_of
from probes.report.common_scale import LEAST, MOST, Excess, excess_of, position
from probes.report.deciding_interval import deciding_interval
from probes.report.entry_summary import summarise_entry
from probes.report.headline import JUDGED, models_by_kind
from probes.report.matrix import LETTERS, Matrix, plain
from probes.results.rows import Row

MOST_LANES = 6
"""Kinds are split into their networks while there are no more lanes than this."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The cells of a claim with one verdict, on one network or one kind of network.

    Attributes:
        name: The claim, without a variant.
        title: The claim in plain words.
        place: Their median place on the common scale.
        reach: The ends of their interval there: of several, the medians of the ends.
            None without an interval.
        letter: The verdict's letter.
        effect: Letter, number of cells, median and range, such as ``R6 .11 .09–.2``.
    """

    name: str
    title: str
    place: float
    reach: tuple[float, float] | None
    letter: str
    effect: str


def lanes_of(matrix: Matrix) -> dict[str, list[Mark]]:
    """Place the claims in the lane of each kind of network on which they were judged.

    A claim has up to three marks in a lane, one for each verdict: on constructed
    networks some cells must hold and others must not, and a common median says nothing.
    """
    return _marked(matrix, models_by_kind(matrix))


def lanes_of_networks(matrix: Matrix) -> dict[str, list[Mark]]:
    """Place the claims in a lane for each network that has a mark."""
    marked = _marked(matrix, {name: [name] for name in matrix.models})
    return {name: marks for name, marks in marked.items() if marks}


def lanes_with_names(matrix: Matrix) -> dict[str, list[Mark]]:
    """Place the claims in the lanes of networks where these are few, else of kinds.

    Returns:
        Lanes with marks, by the name of their only network, or by the number of
        networks and their kind, such as ``8 learned``.
    """
    alone = lanes_of_networks(matrix)
    kinds = {
        kind: [name for name in models if name in alone]
        for kind, models in models_by_kind(matrix).items()
    }
    room = MOST_LANES - sum(map(bool, kinds.values()))
    lanes: dict[str, Sequence[str]] = {}
    for kind, models in kinds.items():
        if len(models) - 1 <= room:
            room -= max(len(models) - 1, 0)
            lanes |= {name: [name] for name in models}
        else:
            lanes[f"{len(models)} {kind}"] = models
    return _marked(matrix, lanes)


def _marked(
    matrix: Matrix, lanes: Mapping[str, Sequence[str]]
) -> dict[str, list[Mark]]:
    """Mark the claims in each lane, in rising order."""
    lines = fold_variants(matrix)
    return {
        name: sorted(_marks(matrix, lines, models), key=lambda mark: mark.place)
        for name, models in lanes.items()
    }


def _marks(
    matrix: Matrix, lines: Sequence[ClaimLine], models: Sequence[str]
) -> Iterator[Mark]:
    for line in lines:
        cells = line.cells(matrix, models)
        for verdict in JUDGED:
            alike = [row for row in cells if row["verdict"] == verdict]
            place = position_of(alike)
            if place is None:
                continue
            summary = summarise_entry(alike)
            count = len(alike) if len(alike) > 1 else ""
            numbers = f"{summary.effect} {summary.spread}".strip()
            yield Mark(
                name=plain(line.name, 80),
                title=title_of(alike[0]),
                place=place,
                reach=_reach(alike),
                letter=LETTERS[verdict],
                effect=f"{LETTERS[verdict]}{count} {numbers}",
            )


def _reach(rows: Sequence[Row]) -> tuple[float, float] | None:
    """Place the ends of the intervals that decide; of several cells, their medians."""
    found = [excess for row in rows if (excess := _deciding_excess(row)) is not None]
    lows = [_end(one.low, LEAST) for one in found]
    highs = [_end(one.high, MOST) for one in found]
    return (median(lows), median(highs)) if found else None


def _deciding_excess(row: Row) -> Excess | None:
    """Measure the interval that decides a cell, in margins; None without one."""
    interval = deciding_interval(row)
    if interval is None:
        return None
    effect = row["effects"][0] | {"low": interval.low, "high": interval.high}
    return excess_of({**row, "effects": [effect]})


def _end(excess: float | None, open_end: float) -> float:
    return open_end if excess is None else position(excess)
