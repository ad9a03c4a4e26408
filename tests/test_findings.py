"""The page of findings speaks of the sample run that is committed with it."""

from __future__ import annotations

import re
from itertools import takewhile

from tests.support.running import ROOT

REPORTS = ROOT / "reports"
OPENING = ["question", "answer", "on what", "effect", "what would change our mind"]


def matrix_of(page: str) -> list[str]:
    """Give the rows of the matrix of claims by models."""
    text = (REPORTS / page).read_text("utf-8")
    lines = text[text.index("| claim | hmm_llama") :].splitlines()
    return list(takewhile(lambda line: line.startswith("|"), lines))


def test_the_matrix_of_the_findings_is_the_sample_runs() -> None:
    # After a new sample, copy its matrix and read the page again: its words may be old.
    assert matrix_of("findings.md") == matrix_of("sample/matrix.md")


def test_every_finding_opens_with_its_question_and_what_would_change_it() -> None:
    text = (REPORTS / "findings.md").read_text("utf-8")
    findings = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    numbered = [finding for finding in findings if finding[0].isdigit()]
    assert numbered
    for finding in numbered:
        rows = finding.split("\n\n")[1].splitlines()[2:]
        assert [row.split(" | ")[0].lstrip("| ") for row in rows] == OPENING
