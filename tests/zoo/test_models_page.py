"""The table in the documentation says what the zoo found."""

from __future__ import annotations

from tests.support.models_page import PAGE, page_with, table
from tests.support.zoo import CAUSAL


def test_the_page_shows_the_zoo_as_it_is() -> None:
    assert PAGE.read_text("utf-8") == page_with(table()), (
        "run python -m tests.support.models_page"
    )


def test_the_zoo_has_thirty_architectures() -> None:
    assert len(CAUSAL) >= 30
