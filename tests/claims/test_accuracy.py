"""Accuracy among labels and over the vocabulary are judged apart."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from probes_fixtures.variants import CRITERIA, OF_LABELS, gradient_learner, task_learner

import claims.test_output as claimed
from probes.cell import Cell, Settings
from probes.claims import ClaimCard
from probes.measurement import Array
from probes.observations.observation import Observation
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Refuted

SIZES = Settings(n_sets=10, n_queries=60)
RNG = np.random.default_rng(0)
GOLD = RNG.integers(2, size=(10, 60))


def answered(is_right: Array, *, other_token: float) -> Observation:
    """Answer among two labels; a third token has ``other_token`` times their odds."""
    odds = np.ones((*GOLD.shape, 3))
    chosen = np.where(is_right, GOLD, 1 - GOLD)
    np.put_along_axis(odds, chosen[..., None], 3.0, axis=-1)
    odds[..., 2] = 3.0 * other_token
    return Observation(
        arrays={"log_probs": np.log(odds / odds.sum(-1, keepdims=True)), "gold": GOLD},
        facts={"label_tokens": [0, 1]},
    )


RIGHT = RNG.random(GOLD.shape) < 0.8
ICL = answered(RIGHT, other_token=0.1)
UNFORMED = answered(RIGHT, other_token=2.0)  # right among the labels, never the first


def cell_on(name: str, **given: Any) -> Cell:
    return Cell(
        model=model_named("hmm_llama"),
        dataset=dataset_named(name),
        n_demonstrations=4,
        settings=SIZES,
        variant="gd",
        **given,
    )


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("same_accuracy", "supported"), ("same_accuracy_over_vocabulary", "refuted")],
)
def test_a_gd_that_is_right_only_among_the_labels_is_told_apart(
    name: str, verdict: str
) -> None:
    claim: Any = getattr(claimed, f"test_{name}")
    judge = Judge(claim.claim, cell_on("hmm"))
    claim(ICL, UNFORMED, UNFORMED, UNFORMED, ICL, ICL, judge)
    with contextlib.suppress(Refuted):
        judge.conclude(None)
    assert judge.judgement is not None
    assert judge.judgement.verdict == verdict


def test_open_answers_have_neither_the_claim_nor_its_criterion() -> None:
    claim: Any = claimed.test_same_accuracy_over_vocabulary
    card: ClaimCard = claim.claim
    smollm = model_named("untrained:text_llama")
    assert not card.applies_to(smollm, dataset_named("singular_plural"))
    assert card.applies_to(smollm, dataset_named("opinions"))
    criteria = set(CRITERIA.values())
    assert set(task_learner(cell_on("singular_plural")).criteria) == criteria - {
        OF_LABELS
    }
    assert set(task_learner(cell_on("opinions")).criteria) == criteria
    nearest = gradient_learner(cell_on("opinions", nearest_in=card.nearest_by))
    assert nearest.criterion == OF_LABELS
