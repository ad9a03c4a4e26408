"""Count the cells of each verdict on each kind of network: the headline of a report."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from probes.report.matrix import LETTERS, Matrix, plain, several

JUDGED = ("supported", "refuted", "inconclusive")
"""Verdicts of cells that were judged: not those that crashed or do not apply."""
_NAME = r"(?:(?:von|van|de|del) )?[A-Z][\w’'-]+"
_WITH = rf"(?:,? (?:et al\.?|(?:and|&) {_NAME}))?"
_PAPER = re.compile(rf"{_NAME}{_WITH},? (?:19|20)\d\d\b|arXiv:\d{{4}}\.\d{{4,5}}")


@dataclass(frozen=True, kw_only=True)
class CellCounts:
    """How many cells are supported, refuted or inconclusive.

    Identities are left out: they hold for any network, so they are no evidence.
    """

    supported: int = 0
    refuted: int = 0
    inconclusive: int = 0

    @property
    def judged(self) -> int:
        """How many were judged at all."""
        return self.supported + self.refuted + self.inconclusive

    @property
    def decided(self) -> int:
        """How many are supported or refuted."""
        return self.supported + self.refuted

    @property
    def as_answer(self) -> str:
        """Say how many hold of those that are decided, and how many are not."""
        if not self.judged:
            return "no cell could be judged"
        if not self.decided:
            return f"{several(self.inconclusive, 'cell')} judged, none decided yet"
        hold = "holds" if self.decided == 1 else "hold"
        said = f"{self.supported} of {several(self.decided, 'decided cell')} {hold}"
        if not self.inconclusive:
            return said
        are = "is" if self.inconclusive == 1 else "are"
        return f"{said}; {self.inconclusive} more {are} inconclusive"

    @property
    def brief(self) -> list[str]:
        """Count those that hold among those that are decided, for a narrow column."""
        if not self.judged:
            return ["none judged"]
        said = [f"{self.supported} of {self.decided} hold"] if self.decided else []
        more = [f"{self.inconclusive} inconclusive"] if self.inconclusive else []
        return said + more

    @property
    def briefest(self) -> list[str]:
        """Count them in few letters, for the narrowest columns."""
        return [_in_letters(one) for one in self.brief]

    def __str__(self) -> str:
        """Join the brief counts."""
        return ", ".join(self.brief)


def _in_letters(count: str) -> str:
    """Shorten a count as entries do: ``I3`` for ``3 inconclusive``."""
    n, _, verdict = count.partition(" ")
    if verdict in LETTERS:
        return f"{LETTERS[verdict]}{n}"
    return count.replace(" of ", "/")


def count_cells(matrix: Matrix, models: Iterable[str]) -> CellCounts:
    """Count the verdicts of all cells on some models."""
    models = set(models)
    found = Counter(
        row["verdict"]
        for (_, model), rows in matrix.entries.items()
        if model in models
        for row in rows
        if not row.get("identity")
    )
    return CellCounts(
        supported=found["supported"],
        refuted=found["refuted"],
        inconclusive=found["inconclusive"],
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
