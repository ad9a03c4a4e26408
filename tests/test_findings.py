"""The page of findings and the README speak of the reports committed with them."""

from __future__ import annotations

import re
from collections import Counter
from itertools import takewhile

import pytest

from tests.support.quotes import ON_BOTH_PAGES, ON_THE_FINDINGS, Place
from tests.support.reported import REPORTS, TRIPLE, Shown, fits, intervals, page, rows
from tests.support.running import ROOT

OPENING = ["question", "answer", "on what", "effect", "what would change our mind"]
FINDINGS, README = "reports/findings.md", "README.md"
EARLIER_RUN = {  # up to 80 sets, finding 7: the page says that its rows are not kept
    *("27 16 73", "20 14 29", "20 12 48", "21 12 50", "13 07 20", "14 09 18"),
    *("13 07 19", "003 −020 023", "21 11 31", "16 08 29"),
}
NATURAL = {"smollm2_135m", "gemma3_270m"}
BY_CEILING = r"with ICL on other demonstrations it would be (?P<verdict>[a-z ]+)"
MOVED = {
    "same_top_tokens": "top tokens",
    "same_confidence": "confidence",
    "same_distribution": "distribution",
    "labels_move_icl_as_they_move_gd": "labels",
    "update_that_reproduces_icl_is_gds": "the update that reproduces ICL",
    "same_activations": "activations",
    "same_representations": "representations",
}


def matrix_of(page: str) -> list[str]:
    """Give the rows of the matrix of claims by models."""
    text = (REPORTS / page).read_text("utf-8")
    lines = text[text.index("| claim | hmm_llama") :].splitlines()
    return list(takewhile(lambda line: line.startswith("|"), lines))


def sections(name: str) -> list[str]:
    """Give the sections of a page, each with its heading."""
    return re.split(r"^## ", (ROOT / name).read_text("utf-8"), flags=re.MULTILINE)[1:]


def models_of(section: str) -> set[str]:
    """Give the models that a section names, with those of the natural study by name."""
    names = {row["model"] for row in rows("sample")}
    named = {name for name in names if f"`{name}`" in section}
    return named | (NATURAL if "SmolLM2" in section else set())


def test_the_matrix_of_the_findings_is_the_sample_runs() -> None:
    # After a new sample, copy its matrix and read the page again: its words may be old.
    assert matrix_of("findings.md") == matrix_of("sample/matrix.md")


def test_every_finding_opens_with_its_question_and_what_would_change_it() -> None:
    numbered = [section for section in sections(FINDINGS) if section[0].isdigit()]
    assert numbered
    for finding in numbered:
        rows = finding.split("\n\n")[1].splitlines()[2:]
        assert [row.split(" | ")[0].lstrip("| ") for row in rows] == OPENING


@pytest.mark.parametrize("name", [FINDINGS, README])
def test_every_effect_with_an_interval_is_one_of_its_sections_models(name: str) -> None:
    for section in sections(name):
        effects = list(intervals(models_of(section)))
        for said in TRIPLE.findall(section):
            if " ".join(said).replace(".", "") in EARLIER_RUN:
                continue
            found = [e for e in effects if all(map(fits, e, said))]
            assert found, f"{section.splitlines()[0]}: no row says {said}"


@pytest.mark.parametrize(("sentence", "places"), [*ON_BOTH_PAGES, *ON_THE_FINDINGS])
def test_every_quoted_number_is_its_rows(sentence: str, places: list[Place]) -> None:
    said = sentence.format(*[Shown(place()) for place in places])
    assert said in page(FINDINGS)
    assert said in page(README) or (sentence, places) not in ON_BOTH_PAGES


def test_the_findings_count_the_cells_that_another_ceiling_would_move() -> None:
    moved = [
        (row["claim"].split("[")[0], row["verdict"], would["verdict"])
        for row in rows("sample")
        if row["model"] == "hmm_llama"
        and (would := re.search(BY_CEILING, row["note"] or ""))
    ]
    claims, verdicts = Counter(m[0] for m in moved), Counter(m[1:] for m in moved)
    *most, last = [f"{said} ({claims.pop(claim)})" for claim, said in MOVED.items()]
    assert not claims
    would_be = {would: n for (now, would), n in verdicts.items() if now == "refuted"}
    assert (
        f"{len(moved)} cells of `hmm_llama` would have another verdict: "
        f"{', '.join(most)} and {last}. {sum(would_be.values())} of them are refuted "
        f"here; {would_be['inconclusive']} of these would be inconclusive and "
        f"{would_be['not applicable']} not applicable."
    ) in page(FINDINGS)


def largest(effect: str, *, gdpp: bool = False) -> str:
    """Give the largest value of an effect on the constructions of GD or of GD++."""
    found = [
        e["value"]
        for row in rows("sample")
        if row["kind"] == "constructed"
        and row["verdict"] == "supported"
        and ("gdpp" in row["claim"]) == gdpp
        for e in row["effects"]
        if e["name"] == effect
    ]
    return f"{max(found):.1e}"


def test_the_largest_errors_of_the_constructions_are_the_rows() -> None:
    drawn = "largest prediction distance"
    worst = "largest disagreement on the worst task found"
    findings = page(FINDINGS)
    assert f"predictions {largest(drawn)} of the answers' size" in findings
    assert f"and {largest(worst)} over the worst ones" in findings
    plus = f"{largest(drawn, gdpp=True)} and {largest(worst, gdpp=True)}"
    assert f"from those of GD++ {plus}" in findings
    assert f"(largest error {largest(worst)} of" in page(README)
    errors = [
        row["effects"][0]["value"]
        for row in rows("sample")
        if row["claim"].startswith("context_is_a_rank_one_patch")
    ]
    assert f"The largest error is {max(errors):.1e} of the context's" in findings
