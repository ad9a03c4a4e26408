"""What a test item claims, and what the run keeps on pytest's objects."""

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
"""The cell with the sets of its next look, if this look left it undecided."""


def claim_of(item: Any) -> ClaimCard | None:
    """Return the claim of a test; None if it has none."""
    return getattr(getattr(item, "function", None), "claim", None)


def cell_of(item: Any) -> Cell | None:
    """Return the cell that a test judges; None if it judges none."""
    callspec = getattr(item, "callspec", None)
    value = None if callspec is None else callspec.params.get("cell")
    return value if isinstance(value, Cell) else None


def name_of(item: Any) -> str | None:
    """Return the name of a test's cell, the same in every run; None without a cell."""
    cell, card = cell_of(item), claim_of(item)
    if cell is None or card is None:
        return None
    return cell_id(card.id_of(cell.variant), cell)


def expected_of(item: Any) -> Expectation | None:
    """Return the recorded verdict of a test's cell; None if there is no record."""
    name, record = name_of(item), item.config.stash[RUN].record
    if name is None or record is None:
        return None
    expected: Expectation | None = record.expectation(name)
    return expected
