"""What rate and passes may be chosen by: 0 where a learner answers as ICL does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from probes.learners.criterion import LABEL_LOSS
from probes.measures import Equal, Nearest, label_accuracy, total_variation
from probes.measures.likeness import DISTANCES, SIMILARITIES
from probes.observations.observation import Observation

QUANTITIES: tuple[Any, ...] = ("accuracy", "loss", "change")
NEAREST = [Nearest(measure=name) for name in (*SIMILARITIES, *DISTANCES)]
EQUAL = [Equal(quantity=quantity) for quantity in QUANTITIES]


def answered(seed: int) -> Observation:
    logits = np.random.default_rng(seed).normal(size=(3, 5, 40))
    log_probs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    gold = np.arange(15).reshape(3, 5) % 2
    return Observation(
        arrays={"log_probs": log_probs, "gold": gold}, facts={"label_tokens": [1, 2]}
    )


ICL, GD, BASE = map(answered, range(3))


@pytest.mark.parametrize("criterion", [*NEAREST, *EQUAL], ids=lambda c: c.name)
def test_icl_itself_is_at_zero_and_others_are_not(criterion: Any) -> None:
    assert criterion.compares_with_icl
    read = criterion.reader(ICL, BASE)
    np.testing.assert_allclose(read(ICL), 0, atol=1e-12)
    other = read(GD)
    assert other.shape == (3,)
    assert np.abs(other).max() > 0.01
    assert criterion.is_gap or (other >= 0).all()


def test_the_loss_on_labels_compares_with_nothing() -> None:
    assert not LABEL_LOSS.compares_with_icl
    loss = LABEL_LOSS.reader(ICL, BASE)(GD)
    np.testing.assert_allclose(loss, -GD.right_log_probs.mean(1))
    assert np.array_equal(loss, LABEL_LOSS.reader(BASE, ICL)(GD))
    assert not LABEL_LOSS.facts(ICL, BASE)


def test_the_quantities_are_those_of_the_measures() -> None:
    accuracy, loss, change = (equal.amount(GD, BASE) for equal in EQUAL)
    np.testing.assert_allclose(accuracy, label_accuracy(GD).values.mean(1))
    np.testing.assert_allclose(change, total_variation(GD, BASE).values.mean(1))
    tokens = np.asarray(GD.label_tokens)[GD.gold][..., None]
    right = np.take_along_axis(GD.log_probs, tokens, axis=-1)[..., 0]
    np.testing.assert_allclose(loss, -right.mean(1))
    assert not EQUAL[2].amount(BASE, BASE).any()


def test_a_gap_is_positive_where_the_learner_has_more() -> None:
    for equal in EQUAL:
        gap = equal.amount(GD, BASE) - equal.amount(ICL, BASE)
        np.testing.assert_allclose(equal.reader(ICL, BASE)(GD), gap)


def test_facts_say_where_icl_and_the_untouched_model_are() -> None:
    for equal in EQUAL:
        facts = equal.facts(ICL, BASE)
        assert facts["wanted"] == pytest.approx(equal.amount(ICL, BASE).mean())
        assert facts["before"] == pytest.approx(equal.amount(BASE, BASE).mean())
        assert facts["hidden"] == 0
    for nearest in NEAREST:
        before = nearest.reader(ICL, BASE)(BASE).mean()
        assert nearest.facts(ICL, BASE) == {"before": pytest.approx(before)}
