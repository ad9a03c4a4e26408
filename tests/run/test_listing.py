"""What the lists say of a claim."""

from __future__ import annotations

import pytest

from probes.claims import ClaimCard
from probes.run.listing import _described


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (None, "On: regression"),
        ((1, 1), "On: regression; 1 layer"),
        ((2, 2), "On: regression; 2 layers"),
        ((2, 5), "On: regression; 2 to 5 layers"),
        ((1, 99), "On: regression; 1 layer or more"),
        ((2, 99), "On: regression; 2 layers or more"),
    ],
)
def test_the_layers_of_a_claim_are_written_in_words(
    layers: tuple[int, int] | None, said: str
) -> None:
    card = ClaimCard(
        name="c", sentence="It is so.", source="§1", on="regression", layers=layers
    )
    assert _described(card).splitlines()[-1].strip() == said
