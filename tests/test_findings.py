"""The page of findings speaks of the sample run that is committed beside it."""

from __future__ import annotations

from itertools import takewhile

from tests.support.running import ROOT

REPORTS = ROOT / "reports"


def matrix_of(page: str) -> list[str]:
    """Give the rows of the matrix of claims by models."""
    text = (REPORTS / page).read_text("utf-8")
    lines = text[text.index("| claim | constructed_gd_1") :].splitlines()
    return list(takewhile(lambda line: line.startswith("|"), lines))


def test_the_matrix_of_the_findings_is_the_sample_runs() -> None:
    # After a new sample, copy its matrix and read the page again: its words may be old.
    assert matrix_of("findings.md") == matrix_of("sample/matrix.md")
