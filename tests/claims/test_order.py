"""The claim on order is judged as the truth is, in worlds in which it is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from probes_fixtures.variants import gradient_learner

import claims.test_order as order
from probes.cell import Cell, Settings
from probes.measurement import Array
from probes.observations.observation import Observation
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge

SIZES = Settings(n_sets=10, n_queries=60)
RNG = np.random.default_rng(0)
SHAPE = (SIZES.n_sets, SIZES.n_queries, 6)


def answered(logits: Array) -> Observation:
    log_probs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    arrays = {"log_probs": log_probs, "gold": np.zeros(SHAPE[:2], dtype=np.int64)}
    return Observation(arrays=arrays, facts={"label_tokens": [0, 1]})


def mixed(ours: Observation, theirs: Observation) -> Observation:
    """Go half-way from one answer to another."""
    return answered(np.logaddexp(ours.log_probs, theirs.log_probs))


GD, BASE, ALIKE = (answered(RNG.normal(size=SHAPE)) for _ in range(3))
OURS, FLAT = answered(RNG.normal(size=SHAPE)), answered(np.zeros(SHAPE))
DISORDERLY = answered(GD.log_probs + RNG.normal(size=SHAPE))
WORLDS = {
    # Without its order, ICL is GD: order is all that divides the two.
    "ICL is GD except for order": (DISORDERLY, GD, "supported"),
    # It goes half-way to GD.
    "order divides in part": (DISORDERLY, mixed(DISORDERLY, GD), "supported"),
    # It comes nearer to everything alike, as any mixture does.
    "ICL is flattened": (OURS, mixed(OURS, FLAT), "refuted"),
    "order is nothing": (DISORDERLY, DISORDERLY, "refuted"),
    "ICL is the base model except for order": (DISORDERLY, BASE, "refuted"),
}


@pytest.mark.parametrize("world", WORLDS)
def test_order_divides_where_it_does_and_nowhere_else(world: str) -> None:
    icl, orderless, verdict = WORLDS[world]
    claim: Any = order.test_order_divides_icl_from_gd
    cell = Cell(
        model=model_named("hmm_llama"),
        dataset=dataset_named("hmm"),
        n_demonstrations=4,
        settings=SIZES,
        variant="averaged",
    )
    judge = Judge(claim.claim, cell)
    arms = {"the model that learned nothing": BASE, "a random update": ALIKE}
    claim(icl, orderless, GD, arms, judge)
    assert judge.judgement is not None
    assert judge.judgement.verdict == verdict


@pytest.mark.parametrize("name", order.OPTIMISERS)
def test_order_cannot_matter_to_full_batch_gd_alone(name: str) -> None:
    cell = Cell(
        model=model_named("hmm_llama"),
        dataset=dataset_named("hmm"),
        n_demonstrations=4,
        settings=SIZES,
        variant=name,
    )
    assert gradient_learner(cell).has_no_order == (name == "gd")
