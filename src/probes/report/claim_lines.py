"""Fold the variants of a claim into one line, and group lines by kind of network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from probes.report.common_scale import MOST, excess_of, position
from probes.report.headline import JUDGED, models_by_kind
from probes.report.matrix import Matrix, split_variant
from probes.results.rows import Row

UNJUDGED = ""
"""The group of claims that no cell judges, and of identities."""


@dataclass(frozen=True, kw_only=True)
class ClaimLine:
    """A claim with all its variants.

    Attributes:
        name: The claim's name, without a variant.
        claims: The ids of its variants.
    """

    name: str
    claims: tuple[str, ...]

    def cells(self, matrix: Matrix, models: Iterable[str]) -> list[Row]:
        """List the line's cells on some models."""
        return [
            row
            for model in models
            for claim in self.claims
            for row in matrix.entries.get((claim, model), ())
        ]


def fold_variants(matrix: Matrix) -> list[ClaimLine]:
    """Fold variants, in the order of the rows."""
    found: dict[str, list[str]] = {}
    for claim in matrix.claims:
        found.setdefault(split_variant(claim)[0], []).append(claim)
    return [ClaimLine(name=name, claims=tuple(ids)) for name, ids in found.items()]


def position_of(rows: Iterable[Row]) -> float | None:
    """Place cells on the common scale, by their median; None if none was judged.

    Identities have no place: they hold for any network.
    """
    places = [
        position(excess.value)
        for row in rows
        if row["verdict"] in JUDGED
        and not row.get("identity")
        and (excess := excess_of(row)) is not None
    ]
    return median(places) if places else None


def _is_evidence(cell: Row) -> bool:
    return cell["verdict"] in JUDGED and not cell.get("identity")


def lines_by_kind(matrix: Matrix) -> Mapping[str, list[ClaimLine]]:
    """Group the lines by the first kind of network on which they were judged.

    Returns:
        Kinds in the order of the drawings, each with the lines that come closest to
        holding first; last ``UNJUDGED``. Groups without lines are missing.
    """
    kinds = models_by_kind(matrix)
    groups: dict[str, list[tuple[float, ClaimLine]]] = {kind: [] for kind in kinds}
    groups[UNJUDGED] = []
    for line in fold_variants(matrix):
        for kind, models in kinds.items():
            cells = line.cells(matrix, models)
            if any(_is_evidence(cell) for cell in cells):
                place = position_of(cells)
                groups[kind].append((MOST if place is None else place, line))
                break
        else:
            groups[UNJUDGED].append((0.0, line))
    return {
        kind: [line for _, line in sorted(found, key=lambda pair: pair[0])]
        for kind, found in groups.items()
        if found
    }
