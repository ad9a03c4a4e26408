"""The claim on learning curves is judged as the truth is, where it is planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import claims.test_learning_curve as claimed
from probes.cell import Cell, Settings
from probes.measurement import Array
from probes.measures.learning_curves import Curve
from probes.observations.observation import Observation
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge

SIZES = Settings(n_sets=10, n_queries=40)
SHAPE = (SIZES.n_sets, SIZES.n_queries)
NUMBERS = (0, 1, 2, 4)
RNG = np.random.default_rng(0)
HARDNESS = 1 + 0.3 * RNG.random(SHAPE)


def answers(losses: Array) -> Observation:
    right = np.exp(-losses)
    return Observation(
        arrays={
            "log_probs": np.log(np.stack([right, 1 - right], axis=-1)),
            "gold": np.zeros(SHAPE, int),
        },
        facts={"label_tokens": [0, 1]},
    )


def curve(scale: float = 1.0, bend: float = 1.0, late: float = 0.0) -> Curve:
    """Lose less the more is shown; ``late`` is lost again after two demonstrations."""
    noise = {n: 0.02 * RNG.random(SHAPE) for n in NUMBERS}
    return {
        n: answers(
            HARDNESS * (1.5 - scale * (1 - (n + 1) ** -bend))
            + late * (n == 2)
            + noise[n]
        )
        for n in NUMBERS
    }


ICL = curve()


def judged(gd: Curve) -> Judge:
    claim: Any = claimed.test_same_learning_curve
    cell = Cell(
        model=model_named("hmm_llama"),
        dataset=dataset_named("hmm"),
        n_demonstrations=4,
        settings=SIZES,
    )
    judge = Judge(claim.claim, cell)
    flat = curve(scale=0)
    bare = {"ICL": flat, "GD": flat}
    claim(ICL, {**gd, 0: ICL[0]}, bare, ICL[4], ICL[4], None, judge)
    assert judge.judgement is not None
    return judge


def verdict(gd: Curve) -> str:
    judgement = judged(gd).judgement
    assert judgement is not None
    return judgement.verdict


@pytest.mark.parametrize("gd", [ICL, curve(), curve(scale=1.02)])
def test_the_same_curve_is_supported(gd: Curve) -> None:
    assert verdict(gd) == "supported"


@pytest.mark.parametrize(
    "gd",
    [
        curve(scale=0),  # learns nothing
        curve(scale=0.7),  # learns less from each number
        curve(scale=1.4),  # learns more
        curve(late=0.3),  # as ICL, but for one number
        curve(late=-0.3),
    ],
)
def test_another_curve_is_refuted(gd: Curve) -> None:
    assert verdict(gd) == "refuted"


def test_curves_that_cross_and_are_alike_on_average_are_refuted() -> None:
    crossing = {**curve(), 1: curve(late=0)[4], 4: curve(late=0)[1]}
    assert verdict(crossing) == "refuted"
