"""The claim on representations is judged as the truth is, where it is planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import claims.test_updates as claimed
from probes.cell import Cell, Settings
from probes.measurement import Array
from probes.observations.observation import Observation
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge

SIZES = Settings(n_sets=10, n_queries=40)
SHAPE = (SIZES.n_sets, SIZES.n_queries, 2, 16)
LABELS = np.broadcast_to(np.arange(SIZES.n_queries) % 4, SHAPE[:2])


def noise(seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=SHAPE)


def inside(outputs: Array) -> Observation:
    return Observation(arrays={"outputs": outputs})


ROTATION = np.linalg.qr(noise(0)[0, :16, 0])[0]
QUERIES, CENTRES = noise(1), 2 * noise(2)[:, :4]
ICL = QUERIES + 0.2 * noise(3)
COLLAPSED = np.take_along_axis(CENTRES, LABELS[..., None, None], axis=1)
ANSWERS = Observation(
    arrays={"log_probs": np.zeros((*SHAPE[:2], 4)), "gold": LABELS},
    facts={"label_tokens": [0, 1, 2, 3]},
)


def judged(gd: Array) -> Judge:
    claim: Any = claimed.test_same_representations
    cell = Cell(
        model=model_named("hmm_llama"),
        dataset=dataset_named("hmm"),
        n_demonstrations=4,
        settings=SIZES,
        variant="gd",
    )
    judge = Judge(claim.claim, cell)
    icl, other = inside(ICL), inside(QUERIES + 0.2 * noise(4))
    base, learned = inside(QUERIES + 2 * noise(5)), inside(gd)
    floors = {"a random update of the same size": (icl, base, base)}
    claim(ANSWERS, icl, learned, learned, other, other, base, floors, judge)
    return judge


def verdict(gd: Array) -> str:
    judgement = judged(gd).judgement
    assert judgement is not None
    return judgement.verdict


@pytest.mark.parametrize("gd", [ICL, QUERIES, 3 * ICL @ ROTATION + 1])
def test_the_same_geometry_is_supported_wherever_it_lies(gd: Array) -> None:
    assert verdict(gd) == "supported"


def test_activations_that_collapse_onto_labels_are_refuted() -> None:
    judge = judged(COLLAPSED + 0.2 * noise(6))
    assert judge.judgement is not None
    assert judge.judgement.verdict == "refuted"
    apart = {e.name: e.value for e in judge.secondary_effects if "same label" in e.name}
    assert apart["nearest queries with the same label: GD"] == 1
    assert apart["nearest queries with the same label: ICL"] < 0.35


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_spoiled_copy_is_refuted(share: float) -> None:
    assert verdict(share * ICL + 2 * noise(7)) == "refuted"
