"""Build, order and write rows: one JSON object for each cell of the matrix.

:mod:`probes.results.row_shape` describes their fields.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from probes.cards import Checkpoint, ModelCard
from probes.cell import Cell
from probes.claims import ClaimCard
from probes.errors import StoreError
from probes.results.row_shape import CELL, in_written_order
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Expectation
from probes.verdicts.thresholds import ALPHA

Row = dict[str, Any]


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
    test: str,
    outcome: str,
    error: str | None,
    expected: Expectation | None,
    observations: Sequence[str],
    seconds: float,
    provenance: Mapping[str, Any],
) -> Row:
    """Put one judged cell into plain JSON values.

    Args:
        judge: The judge of the cell, with its verdict if it reached one.
        test: The test id of the cell.
        outcome: What pytest reports.
        error: The error that ended the test; None if a verdict ended it.
        expected: What is recorded for the cell.
        observations: Content keys of the cell's observations.
        seconds: Duration of the test.
        provenance: The code, machine and settings of the run.
    """
    cell = judge.cell
    values = {
        "claim": judge.claim.id_of(cell.variant),
        "file": test.partition("::")[0],
        "test": test,
        "dataset": cell.dataset.name,
        "n_demonstrations": cell.n_demonstrations,
        "expected": None if expected is None else expected.verdict,
        "outcome": outcome,
        "observations": list(observations),
        "seconds": round(seconds, 6),
        "provenance": provenance,
    }
    parts = (_claim_fields(judge.claim), _model_fields(cell.model))
    judged = (_recorded_fields(judge), _verdict_fields(judge, error))
    return _joined(values, *parts, *judged)


def crashed_row(
    test: str,
    death: str,
    *,
    model: ModelCard,
    card: ClaimCard | None,
    expected: Expectation | None,
    provenance: Mapping[str, Any],
) -> Row:
    """Write the row of a cell whose worker died.

    Args:
        test: The cell's test id.
        death: What is known of the death.
        model: The cell's model.
        card: The cell's claim; None if its file cannot be read.
        expected: What is recorded for the cell.
        provenance: The code, machine and settings of the run.
    """
    parsed = parse_test(test)
    assert parsed is not None
    file, claim, _, dataset, n_demonstrations = parsed
    values = {
        "claim": claim,
        "file": file,
        "test": test,
        "dataset": dataset,
        "n_demonstrations": n_demonstrations,
        "expected": None if expected is None else expected.verdict,
        "outcome": "error",
        "note": None,
        "observations": [],
        "seconds": 0.0,
        "provenance": provenance,
    }
    parts = (_claim_fields(card), _model_fields(model))
    return _joined(values, *parts, _error_fields(f"the worker died: {death}"))


def _joined(*parts: Mapping[str, Any]) -> Row:
    return in_written_order({k: v for part in parts for k, v in part.items()})


def _claim_fields(card: ClaimCard | None) -> dict[str, Any]:
    further = (
        {} if card is None else {"title": card.title, "margin_reason": card.margin}
    )
    return {
        **{name: text for name, text in further.items() if text},
        "sentence": "" if card is None else card.sentence,
        "source": "" if card is None else card.source,
        "identity": card is not None and card.identity,
    }


def _model_fields(model: ModelCard) -> dict[str, Any]:
    fields = {"model": model.name, "kind": model.kind}
    if isinstance(model.weights, Checkpoint) and model.weights.quantisation:
        fields["quantisation"] = model.weights.quantisation
    return fields


def _recorded_fields(judge: Judge) -> dict[str, Any]:
    population = judge.population_to_row()
    return {
        "note": judge.note or None,
        "example": judge.example,
        "details": judge.details or None,
        "looks": judge.design.to_row(judge.cell.settings.n_sets, ALPHA),
        **({} if population is None else {"population": population}),
    }


def _verdict_fields(judge: Judge, error: str | None) -> dict[str, Any]:
    """Give what the judge found; an error overrules its verdict, not its numbers."""
    judgement = judge.judgement
    if judgement is None:
        return _error_fields(error)
    verdict = judgement.verdict if error is None else "error"
    return {
        "verdict": verdict,
        "alone": verdict,
        "effects": [
            _plain(asdict(e)) for e in (judgement.effect, *judge.secondary_effects)
        ],
        "p_supported": judgement.p_supported,
        "p_refuted": judgement.p_refuted,
        "reason": error if error is not None else judgement.reason or None,
    }


def _error_fields(reason: str | None) -> dict[str, Any]:
    return {
        "verdict": "error",
        "alone": "error",
        "effects": [],
        "p_supported": None,
        "p_refuted": None,
        "reason": reason,
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(v, float) and not math.isfinite(v) else v
        for key, v in values.items()
    }


def parse_test(test: str) -> tuple[str, str, str, str, int] | None:
    """Read file, claim, model, dataset and number from a cell's test id; else None."""
    place, _, name = test.partition("::")
    function, bracket, cell = name.removesuffix("]").partition("[")
    parts = cell.split("-")
    if not bracket or len(parts) not in (3, 4) or not parts[2].isdecimal():
        return None
    variant = parts[3] if len(parts) == 4 else None
    claim = function.removeprefix("test_") + (f"[{variant}]" if variant else "")
    return place, claim, parts[0], parts[1], int(parts[2])


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
    """Say whether a row is an error, or failed although a verdict is recorded."""
    if row["verdict"] == "error":
        return True
    return row["expected"] is not None and row["outcome"] == "failed"


def write_rows(rows: Iterable[Row], path: Path) -> None:
    """Write rows as JSON Lines, completely or not at all.

    Raises:
        StoreError: The folder cannot be written.
    """
    lines = [json.dumps(row, allow_nan=False, ensure_ascii=False) for row in rows]
    write_text("".join(line + "\n" for line in lines), path)


def write_text(text: str, path: Path) -> None:
    """Write a file completely or not at all; replace lone surrogates.

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
