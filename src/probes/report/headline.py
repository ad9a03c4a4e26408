"""Count the claims that hold on each kind of network: the headline of a report."""

from __future__ import annotations

import re
from collections.abc import Iterable

from probes.report.matrix import Matrix, plain, several
from probes.results.rows import Row

JUDGED = ("supported", "refuted", "inconclusive", "error")
"""Verdicts of cells that could be judged: all but *not applicable*."""
_NAME = r"(?:(?:von|van|de|del) )?[A-Z][\w’'-]+"
_WITH = rf"(?:,? (?:et al\.?|(?:and|&) {_NAME}))?"
_PAPER = re.compile(rf"{_NAME}{_WITH},? (?:19|20)\d\d\b|arXiv:\d{{4}}\.\d{{4,5}}")


def holds(rows: Iterable[Row]) -> bool | None:
    """Say whether every cell that could be judged is supported.

    Returns:
        None if nothing was judged, or if the claim is an identity: it holds for any
        network, so its support is no evidence.
    """
    judged = [
        row["verdict"] == "supported"
        for row in rows
        if row["verdict"] in JUDGED and not row.get("identity")
    ]
    return all(judged) if judged else None


def held_of(matrix: Matrix, models: Iterable[str]) -> tuple[int, int]:
    """Count the entries of some models that hold, and the entries that were judged."""
    pairs = [(claim, model) for model in models for claim in matrix.claims]
    entries = [holds(matrix.entries.get(pair, ())) for pair in pairs]
    return entries.count(True), len(entries) - entries.count(None)


def claims_that_hold(matrix: Matrix) -> str:
    """Say in one sentence how many claims hold on each kind of network."""
    kinds: dict[str, list[str]] = {}
    for model, kind in matrix.models.items():
        kinds.setdefault(kind, []).append(model)
    parts = []
    for kind, models in kinds.items():
        held, judged = held_of(matrix, models)
        on = f"on {several(len(models), f'{plain(kind, 40)} network')}"
        parts.append(f"{held} of {judged} {on}" if judged else f"none judged {on}")
    return f"Claims that hold: {', '.join(parts) or 'none was judged'}"


def papers_of(source: str) -> list[str]:
    """List the papers that a source cites; the whole source if it cites none."""
    source = plain(source)
    papers = [name.replace(",", "") for name in _PAPER.findall(source)]
    return list(dict.fromkeys(papers)) or [source]
