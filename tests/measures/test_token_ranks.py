"""Accuracy and probability of open answers, and of labels scored by whole answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from probes.errors import ShapeError
from probes.measures import (
    accuracy,
    accuracy_over_numbers,
    corrected,
    gold_probability,
    jensen_shannon,
    label_accuracy,
    label_jensen_shannon,
    label_order_sensitivity,
    label_total_variation,
    overlap_cosine,
    overlap_similarity,
    token_overlap,
    total_variation,
)
from probes.measures.token_ranks import number_compared
from probes.observations.mixture import averaged
from probes.observations.observation import Observation

N_VOCAB = 6


def opened(right: Any, is_right: Any, first: Any = 0, gold: Any = (0, -1)) -> Any:
    """Answer one set's queries; the likeliest token is ``first``."""
    right, is_right = np.atleast_2d(right), np.atleast_2d(is_right)
    log_probs = np.full((*right.shape, N_VOCAB), np.log(0.1))
    log_probs[..., first] = np.log(0.5)
    return Observation(
        arrays={
            "log_probs": log_probs,
            "right_log_probs": np.log(right),
            "is_right": is_right.astype(bool),
            "gold_tokens": np.broadcast_to(np.array(gold), (*right.shape, 2)),
        }
    )


def test_open_answers_are_right_if_greedy_decoding_gives_them() -> None:
    measured = label_accuracy(opened([0.9, 0.2, 0.4], [0, 1, 1]))
    assert measured.values.tolist() == [[0, 1, 1]]
    assert (measured.name, measured.chance) == ("exact-answer accuracy", 0.0)


@pytest.mark.parametrize(
    ("first", "gold", "right"), [(2, (2, -1), 1), (3, (2, 3), 1), (5, (2, -1), 0)]
)
def test_the_first_token_is_right_if_a_right_answer_begins_with_it(
    first: int, gold: tuple[int, int], right: int
) -> None:
    measured = accuracy(opened([0.5], [0], first, gold))
    assert measured.values.tolist() == [[right]]
    assert measured.name == "accuracy of the first token"


def test_a_right_answers_probability_is_that_of_the_whole_answer() -> None:
    measured = gold_probability(opened([0.25, 1.0, 1e-30], [0, 1, 0]))
    assert measured.values == pytest.approx(np.array([[0.25, 1.0, 1e-30]]))
    assert (measured.name, measured.chance) == ("probability of the right answer", 0.0)


def test_an_open_answer_is_right_or_another() -> None:
    ours, theirs = opened([0.5, 1.0], [1, 1]), opened([0.2, 1e-20], [0, 0])
    assert np.exp(ours.outcome_log_probs).sum(-1) == pytest.approx(np.ones((1, 2)))
    distance = label_total_variation(ours, theirs)
    assert distance.values == pytest.approx(np.array([[0.3, 1.0]]))
    assert distance.name == "total variation, right answers and others"
    same = label_jensen_shannon(ours, ours)
    assert same.values == pytest.approx(np.ones((1, 2)))
    disjoint = label_jensen_shannon(ours, theirs).values[0, 1]
    assert disjoint == pytest.approx(0.0, abs=1e-9)
    spread = label_order_sensitivity([ours, theirs]).values
    assert spread == pytest.approx(np.array([[2 * 0.15, 2 * 0.5]]))


def test_other_measures_read_the_first_token_as_ever() -> None:
    ours, theirs = opened([0.5], [1], 0), opened([0.5], [1], 1)
    assert jensen_shannon(ours, ours).values == pytest.approx(np.ones((1, 1)))
    assert total_variation(ours, theirs).values == pytest.approx(np.array([[0.4]]))


def test_a_correction_is_an_exact_answer_that_was_wrong() -> None:
    base, gd = opened([0.1] * 3, [0, 0, 1]), opened([0.1] * 3, [1, 0, 1])
    assert corrected(gd, base).values.tolist() == [[1, 0, 0]]


def test_curves_of_open_tasks_are_of_exact_answers() -> None:
    curve = [opened([0.1, 0.1], [0, 0]), opened([0.1, 0.1], [1, 0])]
    measured = accuracy_over_numbers(curve)
    assert measured.values.tolist() == [[0.5, 0.0]]
    assert measured.name == "exact-answer accuracy over numbers of demonstrations"


def test_an_average_knows_the_mean_probability_and_the_share_of_right_answers() -> None:
    mixed = averaged([opened([0.2, 1.0], [0, 1]), opened([0.6, 0.0 + 1e-9], [1, 1])])
    assert gold_probability(mixed).values == pytest.approx(np.array([[0.4, 0.5]]))
    assert label_accuracy(mixed).values.tolist() == [[0.5, 1.0]]


def test_measures_of_labels_say_that_there_are_none() -> None:
    with pytest.raises(ShapeError, match="has no labels: its answers are open words"):
        opened([0.5], [1]).label_log_probs  # noqa: B018 - it raises


def labelled_by_whole_answers(log_probs: Any) -> Observation:
    """Answer with labels that begin with one token, 0."""
    whole = np.array(log_probs, dtype=np.float64)[None]
    return Observation(
        arrays={
            "log_probs": np.log(np.full((*whole.shape[:2], N_VOCAB), 1 / N_VOCAB)),
            "answer_log_probs": whole,
            "gold": np.array([[1, 0]]),
        },
        facts={"label_tokens": [0, 0]},
    )


def test_labels_that_begin_alike_are_compared_by_whole_answers() -> None:
    ours = labelled_by_whole_answers([[-1.0, -0.5], [-2.0, -1.0]])
    assert label_accuracy(ours).values.tolist() == [[1, 0]]
    assert label_accuracy(ours).chance == 0.5
    chances = 1 / (1 + np.exp([-0.5, 1.0]))
    assert gold_probability(ours).values == pytest.approx(chances[None])
    assert ours.right_log_probs.tolist() == [[-0.5, -2.0]]
    mixed = averaged([ours, labelled_by_whole_answers([[-3.0, -0.5], [-2.0, -1.0]])])
    assert np.exp(mixed.answer_log_probs[0, 0, 0]) == pytest.approx(
        (np.exp(-1) + np.exp(-3)) / 2
    )


@pytest.mark.parametrize(
    ("n_vocab", "k"), [(1, 1), (6, 1), (53, 5), (99, 9), (100, 10), (49_152, 10)]
)
def test_as_many_tokens_are_compared_as_leave_chance_at_a_tenth(
    n_vocab: int, k: int
) -> None:
    assert number_compared(n_vocab) == k
    assert k / n_vocab <= 0.1 or k == 1


@pytest.mark.parametrize("compare", [token_overlap, overlap_cosine, overlap_similarity])
def test_a_small_vocabulary_is_compared_at_its_own_number_of_tokens(
    compare: Any,
) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = (
        Observation(
            arrays={
                "log_probs": np.log(rng.dirichlet(np.ones(53), size=(2, 30))),
                "gold": np.zeros((2, 30), dtype=int),
            },
            facts={"label_tokens": [0, 1]},
        )
        for _ in range(2)
    )
    found = compare(ours, theirs)
    np.testing.assert_array_equal(found.values, compare(ours, theirs, k=5).values)
    assert (found.values != compare(ours, theirs, k=10).values).any()
