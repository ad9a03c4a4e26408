"""Rows in and out: one JSON object for each cell, and what an earlier run recorded.

The schema of a row stands beside this file, in ``report/row.schema.json``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from probes.cards import ModelCard
from probes.cell import Cell
from probes.claims import ClaimCard
from probes.errors import StoreError
from probes.verdicts.false_discovery import benjamini_hochberg
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Expectation
from probes.verdicts.thresholds import ALPHA, least_p

Row = dict[str, Any]
VERDICTS = ("supported", "refuted", "inconclusive", "not_applicable", "error")
CELL = ("claim", "model", "dataset", "n_demonstrations")


def row_id(row: Mapping[str, Any]) -> str:
    """Name a cell across runs: claim, model, dataset, number of demonstrations."""
    return "|".join(str(row[name]) for name in CELL)


def cell_id(claim_id: str, cell: Cell) -> str:
    """Name a cell as :func:`row_id` does, before it has a row."""
    return "|".join(
        (claim_id, cell.model.name, cell.dataset.name, str(cell.n_demonstrations))
    )


def build_row(
    judge: Judge,
    *,
    file: str,
    test: str,
    outcome: str,
    error: str | None,
    expected: Expectation | None,
    observations: Sequence[str],
    seconds: float,
    provenance: Mapping[str, Any],
) -> Row:
    """Put one judged cell into plain JSON values."""
    cell, card, found = judge.cell, judge.claim, judge.judgement
    failed = error is not None or found is None
    effects = [] if found is None else [found.effect, *judge.secondary_effects]
    return {
        "claim": card.id_of(cell.variant),
        "sentence": card.sentence,
        "source": card.source,
        "identity": card.identity,
        "file": file,
        "test": test,
        "model": cell.model.name,
        "kind": cell.model.kind,
        "dataset": cell.dataset.name,
        "n_demonstrations": cell.n_demonstrations,
        "verdict": "error" if failed or found is None else found.verdict,
        "alone": "error" if failed or found is None else found.verdict,
        "expected": None if expected is None else expected.verdict,
        "outcome": outcome,
        "effects": [_plain(asdict(e)) for e in effects],
        "p_supported": None if found is None else found.p_supported,
        "p_refuted": None if found is None else found.p_refuted,
        "reason": error
        if failed
        else (found.reason if found and found.reason else None),
        "note": judge.note or None,
        "example": judge.example,
        "details": judge.details or None,
        "looks": judge.design.to_row(cell.settings.n_sets, ALPHA),
        "observations": list(observations),
        "seconds": round(seconds, 6),
        "provenance": provenance,
    }


def parse_test(test: str) -> tuple[str, str, str, str, int] | None:
    """Read file, claim, model, dataset, number off a cell's test id; else None."""
    place, _, name = test.partition("::")
    function, bracket, cell = name.removesuffix("]").partition("[")
    parts = cell.split("-")
    if not bracket or len(parts) not in (3, 4) or not parts[2].isdecimal():
        return None
    variant = parts[3] if len(parts) == 4 else None
    claim = function.removeprefix("test_") + (f"[{variant}]" if variant else "")
    return place, claim, parts[0], parts[1], int(parts[2])


def crashed_row(
    test: str,
    told: str,
    *,
    model: ModelCard,
    card: ClaimCard | None,
    expected: Expectation | None,
    provenance: Mapping[str, Any],
) -> Row:
    """Write the row of a cell whose worker died.

    Args:
        test: The cell's test id.
        told: What is known of the death.
        model: The cell's model.
        card: The cell's claim; None if its file cannot be read.
        expected: What is recorded for the cell.
        provenance: By what and where the run is made.
    """
    parsed = parse_test(test)
    assert parsed is not None
    file, claim, _, dataset, n_demonstrations = parsed
    return {
        "claim": claim,
        "sentence": "" if card is None else card.sentence,
        "source": "" if card is None else card.source,
        "identity": card is not None and card.identity,
        "file": file,
        "test": test,
        "model": model.name,
        "kind": model.kind,
        "dataset": dataset,
        "n_demonstrations": n_demonstrations,
        "verdict": "error",
        "alone": "error",
        "expected": None if expected is None else expected.verdict,
        "outcome": "error",
        "effects": [],
        "p_supported": None,
        "p_refuted": None,
        "reason": f"the worker died: {told}",
        "note": None,
        "observations": [],
        "seconds": 0.0,
        "provenance": provenance,
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(v, float) and not math.isfinite(v) else v
        for key, v in values.items()
    }


def correct(rows: Iterable[Row]) -> None:
    """Adjust p-values over the whole matrix, and demote what does not survive.

    Benjamini–Hochberg over all cells that were tested, for *supported* and for
    *refuted* each; p of *supported* is never read as less than the cell's sets allow
    (:func:`~probes.verdicts.thresholds.least_p`). A verdict whose adjusted p is above
    ALPHA becomes inconclusive; ``alone`` keeps what the cell said by itself, which is
    what its test reports.

    Over the cells of each claim apart, a matrix of eight claims in which nothing holds
    has a false *supported* several times as often (see ``reports/calibration``).
    """
    tested = [row for row in rows if row["effects"] and _p_of(row) is not None]
    for verdict in ("supported", "refuted"):
        p_values = [_believed(row, verdict) for row in tested]
        for row, p in zip(tested, benjamini_hochberg(p_values), strict=True):
            if row["alone"] == verdict or (
                verdict == "supported" and row["alone"] == "inconclusive"
            ):
                row["effects"][0]["p_adjusted"] = p
                _demote(row, verdict, p, len(tested))


def _believed(row: Row, verdict: str) -> float:
    p = float(row[f"p_{verdict}"])
    if verdict == "supported":
        return max(p, least_p(row["effects"][0]["n_sets"]))
    return p


def _p_of(row: Row) -> float | None:
    found: float | None = row["effects"][0]["p"]
    return found


def _demote(row: Row, verdict: str, p: float, n_cells: int) -> None:
    if row["alone"] == verdict and p > ALPHA:
        row["verdict"] = "inconclusive"
        row["reason"] = (
            f"{verdict} alone, but not among the {n_cells} cells of this matrix "
            f"(adjusted p = {p:.3f})"
        )


def order_rows(rows: Iterable[Row]) -> list[Row]:
    """Sort rows the same way whatever ran first."""
    return sorted(
        rows,
        key=lambda r: (
            r["file"],
            r["claim"],
            r["model"],
            r["dataset"],
            r["n_demonstrations"],
        ),
    )


def is_unexpected(row: Row) -> bool:
    """Say whether a row is an error, or failed beside what was recorded."""
    if row["verdict"] == "error":
        return True
    return row["expected"] is not None and row["outcome"] == "failed"


def write_rows(rows: Iterable[Row], path: Path) -> None:
    """Write rows as JSON Lines, all or nothing.

    Raises:
        StoreError: The folder cannot be written.
    """
    lines = [json.dumps(row, allow_nan=False, ensure_ascii=False) for row in rows]
    write_text("".join(line + "\n" for line in lines), path)


def write_text(text: str, path: Path) -> None:
    """Write a file, all or nothing; lone surrogates are replaced.

    Raises:
        StoreError: The folder cannot be written.
    """
    temporary = path.with_suffix(path.suffix + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(text.encode("utf-8", "replace"))
        temporary.replace(path)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror or error}. Expected a folder "
            f"of yours with room. Pass --reports FOLDER."
        ) from error
