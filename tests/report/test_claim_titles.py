"""Claims are shown by plain names, and every shipped claim has one."""

from __future__ import annotations

import pytest

from probes.report.claim_titles import full_title_of, in_words, title_of
from probes.run.listing import find_claims
from tests.support.rows import row
from tests.support.running import ROOT

LONGEST = 34
"""Letters that a column of names has room for, where there are many models."""


@pytest.mark.parametrize(
    ("identifier", "words"),
    [
        ("same_top_tokens", "Same top tokens"),
        ("gd_middle_W_V", "GD middle W_V"),
        ("update_that_reproduces_icl_is_gds", "Update that reproduces ICL is GD's"),
        ("sgd_batch_2", "SGD batch 2"),
        ("gdpp", "GD++"),
        ("", ""),
    ],
)
def test_an_id_is_written_as_words(identifier: str, words: str) -> None:
    assert in_words(identifier) == words


def test_a_stated_title_comes_before_the_words_of_the_id() -> None:
    stated = row(claim="same_answer[adam]", title="Equal answers")
    assert title_of(stated) == "Equal answers"
    assert full_title_of(stated) == "Equal answers (Adam)"
    assert full_title_of(row(claim="same_answer")) == "Same answer"


def test_every_shipped_claim_has_a_short_title_of_its_own_and_says_why_its_margin() -> (
    None
):
    cards = find_claims([str(ROOT / "claims")])
    titles = [card.title for card in cards]
    assert len(titles) > 40
    assert [card.name for card in cards if not card.title or not card.margin] == []
    assert [title for title in titles if len(title) > LONGEST] == []
    assert len(set(titles)) == len(titles)
