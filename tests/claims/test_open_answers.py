"""Which claims have cells on tasks whose answers are open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.cards import TextRows
from probes.claims import ClaimCard
from probes.run.listing import find_claims
from tests.support.cards import dataset, model
from tests.support.running import ROOT

LLAMA, LABELLED = model("llama"), dataset("labelled")
OPEN = replace(LABELLED, rows=TextRows(location="words", answers="open"))
CLAIMS = {c.name: c for c in find_claims([str(ROOT / "claims")]) if c.on == "text"}

OF_LABELS = (
    "all_demonstrations_count_alike",  # changes single labels
    "cipher",  # asks for the probability of one label of several
    "labels_win_over_priors",  # flips them
    "same_accuracy_over_vocabulary",  # on open answers, same_accuracy judges it
    "same_calibration",  # asks how sure the likeliest one is
    "which_algorithm_on_text",  # counts them
)


def variants(claim: ClaimCard, on: str) -> list[str | None]:
    card = {"labels": LABELLED, "open": OPEN}[on]
    if not claim.applies_to(LLAMA, card):
        return []
    return list(claim.variants_of("full", card))


def test_labels_of_a_closed_set_are_flipped_and_renamed_only_there() -> None:
    moved = CLAIMS["labels_move_icl_as_they_move_gd"]
    assert variants(moved, "labels") == ["shuffled", "flipped", "abstract"]
    assert variants(moved, "open") == ["shuffled"]


@pytest.mark.parametrize("name", OF_LABELS)
def test_claims_that_need_a_closed_set_of_labels_have_no_cells_elsewhere(
    name: str,
) -> None:
    assert variants(CLAIMS[name], "labels")
    assert variants(CLAIMS[name], "open") == []


@pytest.mark.parametrize("name", CLAIMS)
def test_every_other_claim_has_the_same_cells_on_open_tasks(name: str) -> None:
    if name in ("labels_move_icl_as_they_move_gd", *OF_LABELS):
        return
    of_labels = ("gd_label_words",)  # the loss among label words
    everywhere = [v for v in variants(CLAIMS[name], "labels") if v not in of_labels]
    assert variants(CLAIMS[name], "open") == everywhere
