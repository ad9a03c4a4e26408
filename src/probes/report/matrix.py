"""What all drawings share: letters, the grouping into a matrix, and short texts.

Rows may come from anywhere, so :func:`plain` makes all their texts safe to draw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probes.results.row_shape import VERDICTS
from probes.results.rows import Row, is_unexpected

LETTERS = {
    "supported": "S",
    "refuted": "R",
    "inconclusive": "I",
    "not_applicable": "-",
    "error": "E",
}
MEANINGS = {
    "supported": "the interval lies inside the margin",
    "refuted": "the interval lies outside the margin",
    "inconclusive": "the interval lies neither clearly inside nor outside the margin",
    "not_applicable": "there is nothing to judge",
    "error": "the cell crashed",
}
UNEXPECTED = "an error, or a verdict that differs from the record"
IDENTITY = "≡"
IDENTITY_MEANS = "an identity: it holds for any network, so it is no evidence"
KINDS = ("pretrained", "learned", "untrained", "constructed")
"""In the order of all drawings. Constructed networks come last: their answers are
known, so they are the zero of the instrument."""
TEXT_LIMIT = 300
ID_LIMIT = 2000
"""A test id is part of a command, so it may be long: a cut one would not run."""


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Rows grouped by claim and model.

    Attributes:
        claims: Claims in the order of the rows, each with its first row, which has the
            sentence and the source.
        models: Models with their kind: constructed, learned, pretrained or untrained.
        entries: The rows of each (claim, model); impossible pairs are missing.
    """

    claims: Mapping[str, Row]
    models: Mapping[str, str]
    entries: Mapping[tuple[str, str], Sequence[Row]]

    def entry(self, claim: str, model: str) -> str:
        """Return the short text of claim × model; empty if there is no cell."""
        return summarise(self.entries.get((claim, model), ()))

    def label(self, claim: str) -> str:
        """Return the name of a claim as it is drawn, with a mark for an identity."""
        mark = f"{IDENTITY} " if self.claims[claim].get("identity") else ""
        return mark + plain(claim)

    @property
    def has_identities(self) -> bool:
        """Whether any claim is an identity, which the legend must then explain."""
        return any(row.get("identity") for row in self.claims.values())

    def cells_of(self, claim: str) -> list[Row]:
        """Return the rows of a claim, model by model."""
        return [row for m in self.models for row in self.entries.get((claim, m), ())]


def arrange(rows: Iterable[Row]) -> Matrix:
    """Group rows into claims × models."""
    claims: dict[str, Row] = {}
    kinds: dict[str, str] = {}
    entries: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        claims.setdefault(row["claim"], row)
        kinds.setdefault(row["model"], row["kind"])
        entries.setdefault((row["claim"], row["model"]), []).append(row)
    models = sorted(kinds, key=lambda name: (_rank(kinds[name]), kinds[name], name))
    return Matrix(
        claims=claims, models={name: kinds[name] for name in models}, entries=entries
    )


def _rank(kind: str) -> int:
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def count_verdicts(rows: Iterable[Row]) -> dict[str, int]:
    """Count the verdicts that occur, in the order of the legend."""
    counts = Counter(row["verdict"] for row in rows)
    return {name: counts[name] for name in VERDICTS if counts[name]}


def split_variant(claim: str) -> tuple[str, str]:
    """Split the id of a claim into its name and its variant; "" without one."""
    name, _, variant = claim.partition("[")
    return (name, variant[:-1]) if name and variant.endswith("]") else (claim, "")


def summarise(rows: Sequence[Row]) -> str:
    """Shorten cells to one letter if all agree, else to counts such as ``R3 I1``.

    A final ``!`` means that at least one cell is unexpected.
    """
    counts = count_verdicts(rows)
    if len(counts) == 1:
        text = "".join(LETTERS[name] for name in counts)
    else:
        text = " ".join(f"{LETTERS[name]}{n}" for name, n in counts.items())
    return text + ("!" if any(map(is_unexpected, rows)) else "")


def alarms(rows: Sequence[Row], run: Mapping[str, Any]) -> list[str]:
    """List the reasons not to trust the run; empty if there are none."""
    reasons = []
    tests: Mapping[str, bool] = run["self_tests"]
    failed = [plain(name, 80) for name, passed in tests.items() if not passed]
    if failed:
        reasons.append(
            f"SELF-TESTS FAILED: {', '.join(failed)}; do not trust the verdicts of "
            f"this run."
        )
    elif not tests:
        reasons.append("NO SELF-TESTS RAN: the verdicts of this run are unchecked.")
    if not run["complete"] or run["cells"] > len(rows):
        reasons.append(
            f"RUN INCOMPLETE: {len(rows)} of {run['cells']} cells have a row."
        )
    return reasons


def summary_line(rows: Sequence[Row], run: Mapping[str, Any]) -> str:
    """Summarise the run in one sentence, after any reasons not to trust it."""
    return " ".join([*alarms(rows, run), f"{counts_text(rows)}; {tests_passed(run)}."])


def counts_text(rows: Sequence[Row]) -> str:
    """Count cells, models and verdicts."""
    counts = count_verdicts(rows)
    said = ", ".join(f"{counts.get(n, 0)} {n}" for n in VERDICTS if n != "error")
    crashed = f", {several(counts['error'], 'error')}" if "error" in counts else ""
    n_models = len({row["model"] for row in rows})
    n_unexpected = sum(map(is_unexpected, rows))
    surprises = f"; {n_unexpected} unexpected" if n_unexpected else ""
    n_identities = sum(bool(row.get("identity")) for row in rows)
    if n_identities:
        surprises += f"; {n_identities} of identities, no evidence"
    return (
        f"{several(len(rows), 'cell')} on {several(n_models, 'model')}: "
        f"{said.replace('_', ' ')}{crashed}{surprises}"
    )


def tests_passed(run: Mapping[str, Any]) -> str:
    """Count the self-tests that passed."""
    tests: Mapping[str, bool] = run["self_tests"]
    return f"self-tests {sum(map(bool, tests.values()))} of {len(tests)} passed"


def several(n: int, noun: str) -> str:
    """Write a number and its noun."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def plain(value: object, limit: int = TEXT_LIMIT, *, lines: bool = False) -> str:
    """Make a text of a row safe to draw: no control characters, and not too long.

    Args:
        value: Any text; None is empty.
        limit: Maximum length in characters, with the ellipsis.
        lines: Whether to keep line breaks; otherwise they become spaces.
    """
    text = "" if value is None else str(value)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isprintable():
        return text
    return "".join(
        c
        if c.isprintable() or (lines and c == "\n")
        else (" " if c.isspace() else "\N{REPLACEMENT CHARACTER}")
        for c in text
    )


def verdict_text(row: Row) -> str:
    """Write a verdict, with the uncorrected and the recorded one if they differ."""
    text = str(row["verdict"]).replace("_", " ")
    if row["alone"] != row["verdict"]:
        text += f" (uncorrected {row['alone']})".replace("_", " ")
    if row["expected"] is not None and row["expected"] != row["alone"]:
        text += f", expected {row['expected']}".replace("_", " ")
    return text
