"""Count the claims that hold on each kind of network: the headline of a report."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from probes.report.matrix import Matrix, plain
from probes.results.rows import Row

JUDGED = ("supported", "refuted", "inconclusive")
"""Verdicts of cells that were judged: not those that crashed or do not apply."""
_NAME = r"(?:(?:von|van|de|del) )?[A-Z][\w’'-]+"
_WITH = rf"(?:,? (?:et al\.?|(?:and|&) {_NAME}))?"
_PAPER = re.compile(rf"{_NAME}{_WITH},? (?:19|20)\d\d\b|arXiv:\d{{4}}\.\d{{4,5}}")


@dataclass(frozen=True, kw_only=True)
class ClaimCounts:
    """How many entries, each a claim on a network, hold, are refuted or undecided."""

    held: int = 0
    refuted: int = 0
    undecided: int = 0

    @property
    def judged(self) -> int:
        """How many were judged at all."""
        return self.held + self.refuted + self.undecided

    def __str__(self) -> str:
        """Count those that hold among those that are decided."""
        if not self.judged:
            return "none judged"
        decided = self.held + self.refuted
        said = [f"{self.held} of {decided} hold"] if decided else []
        said += [f"{self.undecided} undecided"] if self.undecided else []
        return ", ".join(said)


def verdict_of_entry(rows: Iterable[Row]) -> str | None:
    """Sum up the judged cells of a claim on a network.

    Returns:
        *refuted* if any cell is, *supported* if all are, else *inconclusive*. None if
        nothing was judged, or if the claim is an identity: it holds for any network,
        so its support is no evidence.
    """
    found = {
        row["verdict"]
        for row in rows
        if row["verdict"] in JUDGED and not row.get("identity")
    }
    if "refuted" in found:
        return "refuted"
    if "inconclusive" in found:
        return "inconclusive"
    return "supported" if found else None


def count_claims(matrix: Matrix, models: Iterable[str]) -> ClaimCounts:
    """Count the verdicts of all claims on some models."""
    found = Counter(
        verdict_of_entry(matrix.entries.get((claim, model), ()))
        for model in models
        for claim in matrix.claims
    )
    return ClaimCounts(
        held=found["supported"],
        refuted=found["refuted"],
        undecided=found["inconclusive"],
    )


def models_by_kind(matrix: Matrix) -> dict[str, list[str]]:
    """Group the models by kind of network, in the order of the drawings."""
    kinds: dict[str, list[str]] = {}
    for model, kind in matrix.models.items():
        kinds.setdefault(kind, []).append(model)
    return kinds


def papers_of(source: str) -> list[str]:
    """List the papers that a source cites; the whole source if it cites none."""
    source = plain(source)
    papers = [name.replace(",", "") for name in _PAPER.findall(source)]
    return list(dict.fromkeys(papers)) or [source]
