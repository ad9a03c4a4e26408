"""What a docstring says of its claim, and which docstrings are refused."""

from __future__ import annotations

import pytest

from probes.claims.docstring import SECTIONS, ClaimText, read_docstring
from probes.errors import ClaimError

FULL = """ICL predicts as GD does, and
    no other algorithm does.

    The worst task is recorded, too.

    Source:
        Akyürek et al. 2022 §4;
        disputed by Fu et al. 2023

    Measured:
        (ŷ_ICL − ŷ_GD)²

    Reported: not measured
    Controls:
        GD++
    Title: No other is nearer
    Margin:
        a tenth
    """


def test_a_docstring_is_read_in_full_and_its_lines_are_joined() -> None:
    assert read_docstring("test_it", FULL) == ClaimText(
        sentence="ICL predicts as GD does, and no other algorithm does.",
        source="Akyürek et al. 2022 §4; disputed by Fu et al. 2023",
        measured="(ŷ_ICL − ŷ_GD)²",
        reported="not measured",
        controls="GD++",
        title="No other is nearer",
        margin="a tenth",
    )


def test_only_the_sentence_and_the_source_are_required() -> None:
    text = read_docstring("test_it", "A.\n\nSource: b")
    assert text == ClaimText(sentence="A.", source="b")


def test_a_section_may_have_several_paragraphs() -> None:
    text = read_docstring("test_it", "A.\n\nSource:\n    b\n\n    c\n\nd")
    assert text.source == "b c d"


@pytest.mark.parametrize("docstring", [None, "", "  \n ", "Source:\n    b"])
def test_a_claim_without_a_sentence_is_refused(docstring: str | None) -> None:
    with pytest.raises(ClaimError, match="has no sentence. Expected a claim to say"):
        read_docstring("test_it", docstring)


def test_a_claim_without_a_source_is_refused() -> None:
    with pytest.raises(ClaimError, match="'test_it' has no source. Expected a claim"):
        read_docstring("test_it", "A.\n\nMeasured: b")


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_that_is_empty_is_refused(section: str) -> None:
    docstring = f"A.\n\n{section}:\n"
    with pytest.raises(ClaimError, match=f"empty section '{section}'. Expected text"):
        read_docstring("test_it", docstring)


def test_an_unknown_section_is_refused_and_the_known_ones_are_listed() -> None:
    with pytest.raises(ClaimError, match="section 'Formula'. Expected Title, Source"):
        read_docstring("test_it", "A.\n\nSource: b\n\nFormula:\n    c")


def test_a_section_that_is_there_twice_is_refused() -> None:
    with pytest.raises(
        ClaimError, match="two sections 'Source'. Expected each at most"
    ):
        read_docstring("test_it", "A.\n\nSource: b\n\nSource: c")
