"""What a test item is of, and what a run keeps on pytest's configuration and items."""

from __future__ import annotations

from typing import Any

import pytest

from probes.cell import Cell
from probes.claims import ClaimCard
from probes.results.rows import cell_id
from probes.run.session import Run
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Expectation

RUN = pytest.StashKey[Run]()
JUDGE = pytest.StashKey[Judge]()
KEYS = pytest.StashKey[list[str]]()
NEXT = pytest.StashKey[Cell | None]()
"""The cell at its next look, once the present one left it undecided."""


def claim_of(item: Any) -> ClaimCard | None:
    """Return what a test claims; None if it claims nothing."""
    return getattr(getattr(item, "function", None), "claim", None)


def cell_of(item: Any) -> Cell | None:
    """Return where a test is judged; None if it is no cell."""
    callspec = getattr(item, "callspec", None)
    found = None if callspec is None else callspec.params.get("cell")
    return found if isinstance(found, Cell) else None


def name_of(item: Any) -> str | None:
    """Name a test's cell across runs; None if it is no cell."""
    cell, card = cell_of(item), claim_of(item)
    if cell is None or card is None:
        return None
    return cell_id(card.id_of(cell.variant), cell)


def expected_of(item: Any) -> Expectation | None:
    """Return what is recorded for a test; None if nothing is."""
    name, record = name_of(item), item.config.stash[RUN].record
    if name is None or record is None:
        return None
    found: Expectation | None = record.expectation(name)
    return found
