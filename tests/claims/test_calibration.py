"""The claim on calibration is judged as the truth is, where it is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import claims.test_calibration as claimed
from probes.cell import Cell, Settings
from probes.measurement import Array
from probes.observations.observation import Observation
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge

SIZES = Settings(n_sets=20, n_queries=200)
SHAPE = (SIZES.n_sets, SIZES.n_queries, 3)
RNG = np.random.default_rng(3)
LOGITS = RNG.normal(size=SHAPE) * 1.5
UNIFORM = RNG.random(SHAPE[:2])


def probabilities(logits: Array) -> Array:
    return np.asarray(np.exp(logits - np.logaddexp.reduce(logits, -1, keepdims=True)))


GOLD = (probabilities(LOGITS).cumsum(-1) < UNIFORM[..., None]).sum(-1)
"""Right answers that have the probabilities which a calibrated learner gives them."""


def answered(logits: Array) -> Observation:
    return Observation(
        arrays={"log_probs": np.log(probabilities(logits)), "gold": GOLD},
        facts={"label_tokens": [0, 1, 2]},
    )


def verdict(icl: Observation, gd: Observation) -> str:
    claim: Any = claimed.test_same_calibration
    cell = Cell(
        model=model_named("hmm_llama"),
        dataset=dataset_named("hmm"),
        n_demonstrations=4,
        settings=SIZES,
        variant="gd",
    )
    judge = Judge(claim.claim, cell)
    claim(icl, gd, gd, icl, answered(0 * LOGITS), icl, gd, judge)
    assert judge.judgement is not None
    return judge.judgement.verdict


CALIBRATED, SHARP = answered(LOGITS), answered(4 * LOGITS)


def test_a_learner_is_as_calibrated_as_itself() -> None:
    assert verdict(CALIBRATED, CALIBRATED) == "supported"
    assert verdict(SHARP, SHARP) == "supported"


@pytest.mark.parametrize("nearly", [0.9, 1.1])
def test_a_slightly_sharper_learner_is_as_calibrated(nearly: float) -> None:
    assert verdict(CALIBRATED, answered(nearly * LOGITS)) == "supported"


def test_the_same_answers_with_too_much_confidence_are_not() -> None:
    """Accuracy is the same; only the confidence differs."""
    assert verdict(CALIBRATED, SHARP) == "refuted"
    assert verdict(SHARP, CALIBRATED) == "refuted"
