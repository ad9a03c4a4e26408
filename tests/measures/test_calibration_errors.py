"""Calibration errors have their closed forms, also with few queries."""

from __future__ import annotations

import math

import numpy as np
import pytest

from probes.errors import ShapeError
from probes.measures import (
    brier_score,
    expected_calibration_error,
    label_loss,
    squared_calibration_error,
)
from probes.observations.observation import Observation

N_SETS = 20_000
P = 0.8


def drawn(n_queries: int, accuracy: float, *, confidence: float = P) -> Observation:
    """Be as confident in every answer, and right with a given chance."""
    rng = np.random.default_rng(0)
    wrong = rng.random((N_SETS, n_queries)) >= accuracy
    log_probs = np.log([confidence, 1 - confidence])
    return Observation(
        arrays={
            "log_probs": np.broadcast_to(log_probs, (*wrong.shape, 2)),
            "gold": wrong.astype(np.int64),
        },
        facts={"label_tokens": [0, 1]},
    )


def one_set(observation: Observation, index: int) -> Observation:
    return observation.of_set(index)


def mean_deviation(n: int, p: float) -> float:
    """E|X/n − p| for X ~ B(n, p), in closed form (de Moivre 1730)."""
    k = math.floor(n * p) + 1
    return 2 * k * math.comb(n, k) * p**k * (1 - p) ** (n - k + 1) / n


@pytest.mark.parametrize("n_queries", [2, 10, 40])
@pytest.mark.parametrize("accuracy", [P, 0.5, 0.95])
def test_the_squared_error_has_no_bias(n_queries: int, accuracy: float) -> None:
    found = squared_calibration_error(drawn(n_queries, accuracy))
    means = found.values.mean(axis=1)
    error = 4 * means.std() / math.sqrt(N_SETS)
    assert found.mean == pytest.approx((P - accuracy) ** 2, abs=error)


def test_ece_is_biased_by_the_mean_deviation_of_a_binomial() -> None:
    n, sets = 40, 2000
    answers = drawn(n, P)
    of_sets = [expected_calibration_error(answers.of_set(s)).mean for s in range(sets)]
    expected = mean_deviation(n, P)
    assert expected == pytest.approx(0.0505, abs=0.001)
    assert np.mean(of_sets) == pytest.approx(expected, abs=0.003)


def test_ece_of_very_many_answers_is_the_gap() -> None:
    found = expected_calibration_error(drawn(40, 0.5))
    assert found.mean == pytest.approx(P - 0.5, abs=0.003)


def test_brier_score_and_loss_are_those_of_a_coin() -> None:
    """2[a(1 − p)² + (1 − a)p²] and −a ln p − (1 − a) ln(1 − p)."""
    a, answers = 0.7, drawn(40, 0.7)
    brier = 2 * (a * (1 - P) ** 2 + (1 - a) * P**2)
    loss = -a * math.log(P) - (1 - a) * math.log(1 - P)
    assert brier_score(answers).mean == pytest.approx(brier, abs=0.01)
    assert label_loss(answers).mean == pytest.approx(loss, abs=0.01)


def test_queries_of_equal_confidence_stay_in_bins_of_equal_numbers() -> None:
    rng = np.random.default_rng(1)
    gold = rng.integers(2, size=(3, 9))
    log_probs = np.broadcast_to(np.log([P, 1 - P]), (3, 9, 2))
    alike = Observation(
        arrays={"log_probs": log_probs, "gold": gold}, facts={"label_tokens": [0, 1]}
    )
    errors = P - (gold == 0)
    found = squared_calibration_error(alike).values
    for s in range(3):
        first, second = errors[s, :5], errors[s, 5:]  # 9 queries in 2 bins
        for place, bin_ in ((0, first), (8, second)):
            rest = (bin_.sum() - errors[s, place]) / (len(bin_) - 1)
            assert found[s, place] == pytest.approx(errors[s, place] * rest)


def test_one_query_has_no_other() -> None:
    with pytest.raises(ShapeError, match=r"one query .* --queries 10"):
        squared_calibration_error(drawn(1, P))
