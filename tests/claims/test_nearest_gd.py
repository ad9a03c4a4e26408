"""Every claim that ICL is GD gives GD its best chance in the claim's own measure."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from probes_fixtures.variants import CRITERIA, CRITERIA_INSIDE

from claims import (
    test_calibration,
    test_ciphers,
    test_demonstrations,
    test_identities,
    test_labels,
    test_learning_curve,
    test_order,
    test_output,
    test_reversals,
    test_update_directions,
    test_updates,
    test_weights,
)
from probes.cell import Cell, Settings
from probes.claims import ClaimCard
from probes.measurement import Measurement
from probes.run.listing import find_claims
from probes.verdicts.judge import Judge
from tests.support.cards import dataset, model
from tests.support.running import ROOT

MODULES: tuple[ModuleType, ...] = (
    test_calibration,
    test_ciphers,
    test_demonstrations,
    test_identities,
    test_labels,
    test_learning_curve,
    test_order,
    test_output,
    test_reversals,
    test_update_directions,
    test_updates,
    test_weights,
)
FUNCTIONS: dict[str, Any] = {
    function.claim.name: function
    for module in MODULES
    for function in vars(module).values()
    if getattr(getattr(function, "claim", None), "on", "") == "text"
}
OWN = {
    "equal accuracy": "accuracy",
    "equal accuracy over the vocabulary": "accuracy",
    "corrections_apart": "coverage",
}
"""Measures of claims whose criterion has another name: an equal accuracy is judged as a
difference, and where no corrections are apart, all are covered."""
OTHERWISE = {
    "cipher": "of ICL alone",
    "context_is_a_rank_one_patch": "an identity",
    "context_is_a_rank_one_patch_of_all_layers": "an identity",
    "icl_survives_late_drift": "of ICL alone",
    "icl_survives_training_drift": "of ICL alone",
    "layer_causal_gd_is_closer": "of two kinds of GD, each at its best",
    "order_divides_icl_from_gd": "of ICL without order",
    "robust_to_weight_change": "of ICL alone",
    "same_learning_curve": "of GD at its best; a stop at ICL's loss would always agree",
    "same_data_efficiency_with_more": "of GD on more demonstrations than ICL has",
    "weights_are_sparse_as_constructed": "of weights",
}


def judged_by(name: str) -> str:
    """Return the source of a claim below its docstring."""
    body: str = inspect.getsource(FUNCTIONS[name]).split('"""')[2]
    return body


def test_every_text_claim_is_looked_at() -> None:
    on_text = [c.name for c in find_claims([str(ROOT / "claims")]) if c.on == "text"]
    assert sorted(FUNCTIONS) == sorted(on_text)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_gd_is_nearest_in_the_claims_own_measure_or_another_stands_in(
    name: str,
) -> None:
    card: ClaimCard = FUNCTIONS[name].claim
    assert not (card.nearest_in and card.stand_in)
    assert bool(card.nearest_by) == (name not in OTHERWISE)
    if card.nearest_by:
        assert card.nearest_by in {**CRITERIA, **CRITERIA_INSIDE}
    if card.nearest_in:
        assert OWN.get(card.nearest_in, card.nearest_in) in judged_by(name)
        assert "best" in judged_by(name)


def judged(name: str, criterion: str) -> Judge:
    """Judge a difference of 1 after a search by a criterion."""
    cell = Cell(
        model=model("m"), dataset=dataset("d"), n_demonstrations=4, settings=Settings()
    )
    judge = Judge(FUNCTIONS[name].claim, cell)
    facts = {"criterion": criterion, "rate": 0.1, "passes": 4, "value": 0.1,
             "is_interior": True, "edge": "", "gain": 0.0, "curves": []}  # fmt: skip
    judge.note_search(facts, decides=True)
    values = np.random.default_rng(0).normal(1, 0.1, (10, 40))
    judge.agrees(Measurement(name="difference", values=values, unit="1"), margin=0.1)
    assert judge.judgement is not None
    assert judge.judgement.verdict == "refuted"
    return judge


def test_a_row_says_which_measure_stands_in_for_the_claims_own() -> None:
    said = "chosen by jensen shannon, in place of this claim's own measure"
    assert said in judged("same_order_sensitivity", "jensen_shannon").note
    assert "stands in" not in judged("same_distribution", "jensen_shannon").note
    assert "stands in" not in judged("same_order_sensitivity", "loss").note


def test_gd_at_an_edge_of_given_rates_is_not_refuted_and_the_reason_says_so() -> None:
    cell = Cell(
        model=model("m"), dataset=dataset("d"), n_demonstrations=4, settings=Settings()
    )
    judge = Judge(FUNCTIONS["same_accuracy"].claim, cell)
    facts = {"criterion": "loss", "rate": 0.1, "passes": 4, "value": 0.1,
             "is_interior": False, "edge": "0.1 is the highest rate given",
             "gain": 0.0, "curves": []}  # fmt: skip
    judge.note_search(facts, decides=True)
    values = np.random.default_rng(0).normal(1, 0.1, (10, 40))
    far = Measurement(name="difference", values=values, unit="1")
    judge.agrees(far, margin=0.1, best=far)
    assert judge.judgement is not None
    assert judge.judgement.verdict == "inconclusive"
    assert "rate given; other --rates or --passes may decide" in judge.judgement.reason
