"""A measure whose untrained arm scores like the trained one says so in its row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from probes.cell import Cell, Settings
from probes.claims import ClaimCard
from probes.measurement import Measurement
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge
from probes.verdicts.negative_controls import (
    UNTRAINED,
    UNTRAINED_BUT_EMBEDDINGS,
    remark_on_control,
)


def measured(mean: float, seed: int = 0, shape: Any = (10, 40)) -> Measurement:
    noise = 0.05 * np.random.default_rng(seed).normal(size=shape)
    noise -= noise.mean()
    return Measurement(name="likeness", unit="cosine", values=mean + noise)


def judge() -> Judge:
    card = ClaimCard(name="c", sentence="S.", source="s", on="text")
    cell = Cell(
        model=model_named("hmm_llama"),
        dataset=dataset_named("hmm"),
        n_demonstrations=4,
        settings=Settings(),
    )
    return Judge(card, cell)


@pytest.mark.parametrize(
    ("trained", "untrained", "better", "is_alike"),
    [(0.8, 0.8, "higher", True), (0.8, 0.9, "higher", True),
     (0.8, 0.5, "higher", False), (0.1, 0.1, "nearer 0", True),
     (0.3, 0.1, "nearer 0", True), (0.1, 0.3, "nearer 0", False),
     (-0.1, 0.3, "nearer 0", False), (-0.3, 0.1, "nearer 0", True)],
)  # fmt: skip
def test_no_clear_advantage_over_random_weights_is_reported(
    trained: float, untrained: float, better: Any, is_alike: bool
) -> None:
    said = remark_on_control(measured(trained), measured(untrained, 1), better=better)
    assert bool(said) == is_alike
    if is_alike:
        assert "likeness cannot tell them apart here" in said


def test_an_advantage_of_rounding_is_none() -> None:
    zero, rounding = measured(0.0), measured(0.0)
    zero.values[:] = 0.0
    rounding.values[:] = np.linspace(1e-17, 1e-15, 40)
    assert remark_on_control(rounding, zero, better="higher")
    assert remark_on_control(zero, rounding, better="nearer 0")


def test_arms_of_other_sizes_are_compared_by_their_means() -> None:
    small = measured(0.5, shape=(3, 2))
    assert not remark_on_control(measured(0.8), small, better="higher")
    assert remark_on_control(measured(0.4), small, better="higher")


@pytest.mark.parametrize("arm", [UNTRAINED, UNTRAINED_BUT_EMBEDDINGS])
@pytest.mark.parametrize(("floor", "is_told"), [(0.7, True), (0.3, False)])
def test_a_similarity_that_untrained_networks_have_too_is_remarked_on(
    floor: float, is_told: bool, arm: str
) -> None:
    judged = judge()
    floors = {arm: measured(floor, 1), "a random update": measured(0.2, 2)}
    judged.reaches_ceiling(
        measured(0.6), floors=floors, ceiling=measured(0.94, 3), margin=0.1
    )
    assert (f"{arm} scores" in judged.note) == is_told


def test_a_floor_as_high_as_the_ceiling_is_named() -> None:
    judged = judge()
    floors = {UNTRAINED: measured(0.95, 1), "a random update": measured(0.2, 2)}
    judged.reaches_ceiling(
        measured(0.6), floors=floors, ceiling=measured(0.94, 3), margin=0.1
    )
    assert judged.judgement is not None
    assert judged.judgement.verdict == "not_applicable"
    assert judged.judgement.reason.endswith(f"; the floor is {UNTRAINED}")


def test_the_untrained_arm_is_shown_next_to_what_is_judged() -> None:
    judged = judge()
    judged.control(measured(0.1), [measured(0.1, 1)], better="nearer 0")
    judged.control(measured(0.1), [], better="nearer 0")  # a constructed network
    assert [e.name for e in judged.secondary_effects] == [f"likeness: {UNTRAINED}"]
    assert judged.note.count("cannot tell them apart") == 1
