"""What would decide a cell: sets, queries, a longer search, or groups of rows."""

from __future__ import annotations

import pytest

from probes.report.advice import advice_for
from tests.support.rows import effect, row

STRADDLES = "the interval is neither wholly inside the margin nor clearly outside"


@pytest.mark.parametrize(
    ("counts_groups", "reason", "advice"),
    [
        (
            False,
            f"{STRADDLES}; about 30, 20 more",
            "More demonstration sets",
        ),
        (True, f"{STRADDLES}; about 30, 22 more", "More groups of rows in the data"),
        (True, "GD may still come nearer; a larger --effort may decide", "A longer"),
        (True, "GD may still come nearer; other --rates or --passes may", "Other --ra"),
    ],
)
def test_an_undecided_cell_is_told_what_its_units_are(
    counts_groups: bool, reason: str, advice: str
) -> None:
    shown = effect(counts_groups=counts_groups)
    made = row(
        verdict="inconclusive", alone="inconclusive", reason=reason, effects=[shown]
    )
    assert advice_for(made).startswith(advice)
