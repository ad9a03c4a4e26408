"""Every measure: a value by hand, its range, symmetry, invariance and chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes import measures
from probes.errors import ShapeError
from probes.measurement import Array, Measurement
from probes.measures import (
    accuracy,
    answer_order_sensitivity,
    gold_probability,
    jensen_shannon,
    label_accuracy,
    label_jensen_shannon,
    label_order_sensitivity,
    order_sensitivity,
    overlap_cosine,
    overlap_similarity,
    prediction_distance,
    relative_order_sensitivity,
    sensitivity_cosine,
    sensitivity_distance,
    squared_distance,
    token_overlap,
    total_variation,
)
from probes.observations.observation import Observation
from tests.support.known_answers import KNOWN, ORDERS, numbers, plain, spread, text

SEEDS = st.integers(0, 2**32 - 1)
N_SETS, N_QUERIES, N_VOCAB = 3, 4, 7
NEVER = 1e-300  # a probability that is 0 in every sum


def drawn(seed: int, *shape: int, scale: float = 3.0) -> Array:
    rng = np.random.default_rng(seed)
    return scale * rng.normal(size=shape or (N_SETS, N_QUERIES, N_VOCAB))


def drawn_text(seed: int) -> Observation:
    gold = np.random.default_rng(seed + 1).integers(2, size=(N_SETS, N_QUERIES))
    return text(drawn(seed), gold)


def drawn_numbers(seed: int) -> Observation:
    return Observation(
        arrays={
            "predictions": drawn(seed, 3, 4),
            "sensitivities": drawn(seed + 1, 3, 4, 5),
            "answers": drawn(0, 3, 4),
            "queries": drawn(1, 3, 4, 5),
        }
    )


Pair = Callable[[Observation, Observation], Measurement]
TEXT_PAIRS: dict[str, Pair] = {
    "jensen_shannon": jensen_shannon,
    "label_jensen_shannon": label_jensen_shannon,
    "total_variation": total_variation,
    "token_overlap": lambda a, b: token_overlap(a, b, k=3),
    "overlap_cosine": lambda a, b: overlap_cosine(a, b, k=3),
    "overlap_similarity": lambda a, b: overlap_similarity(a, b, k=3),
}
REGRESSION_PAIRS: dict[str, Pair] = {
    "prediction_distance": prediction_distance,
    "squared_distance": squared_distance,
    "sensitivity_cosine": sensitivity_cosine,
    "sensitivity_distance": sensitivity_distance,
}
ONES = {
    "accuracy": accuracy,
    "label_accuracy": label_accuracy,
    "gold_probability": gold_probability,
}
Orders = Callable[[Sequence[Observation]], Measurement]


def relative_to_the_next_set(orders: Sequence[Observation]) -> Measurement:
    """Let the next set's answers be those after other demonstrations."""
    other = text(np.roll(orders[0].log_probs, 1, axis=0))
    return relative_order_sensitivity(orders, other)


TEXT_ORDERS: dict[str, Orders] = {
    "order_sensitivity": order_sensitivity,
    "label_order_sensitivity": label_order_sensitivity,
    "relative_order_sensitivity": relative_to_the_next_set,
}
DISTANCES = {"total_variation", *REGRESSION_PAIRS} - {"sensitivity_cosine"}
SYMMETRIC = {**TEXT_PAIRS, **REGRESSION_PAIRS}
ON_TEXT: dict[str, Callable[[Sequence[Observation]], Measurement]] = {
    **{name: lambda o, m=m: m(o[0], o[1]) for name, m in TEXT_PAIRS.items()},
    **{name: lambda o, m=m: m(o[0]) for name, m in ONES.items()},
    **TEXT_ORDERS,
}


PLAIN = [name for name in KNOWN if name not in ("sparsities", "step_matching")]
"""Measures that return a measurement, or several on several inputs."""


@pytest.mark.parametrize("name", KNOWN)
def test_measure_is_its_formula(name: str) -> None:
    call, expected = KNOWN[name]
    assert plain(call(getattr(measures, name))) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("name", PLAIN)
def test_measure_says_its_unit_and_what_zero_means(name: str) -> None:
    found = KNOWN[name][0](getattr(measures, name))
    for measured in found if isinstance(found, list) else [found]:
        assert measured.name
        assert measured.unit
        assert measured.zero or measured.one


@pytest.mark.parametrize("name", ON_TEXT)
@settings(deadline=None, max_examples=25)
@given(seed=SEEDS)
def test_text_measure_is_not_negative_nor_above_one(name: str, seed: int) -> None:
    values = ON_TEXT[name]([drawn_text(seed), drawn_text(seed + 1)]).values
    assert values.shape == (N_SETS, N_QUERIES)
    assert values.min() >= 0
    if name not in TEXT_ORDERS:  # those add up over tokens
        assert values.max() <= 1 + 1e-12


@pytest.mark.parametrize("name", REGRESSION_PAIRS)
@settings(deadline=None, max_examples=25)
@given(seed=SEEDS)
def test_regression_measure_stays_in_its_range(name: str, seed: int) -> None:
    found = REGRESSION_PAIRS[name](drawn_numbers(seed), drawn_numbers(seed + 7))
    low, high = (-1, 1) if name == "sensitivity_cosine" else (0, math.inf)
    assert found.values.shape == (3, 4)
    assert low <= found.values.min() <= found.values.max() <= high


@pytest.mark.parametrize("name", SYMMETRIC)
@settings(deadline=None, max_examples=25)
@given(seed=SEEDS)
def test_measure_is_symmetric(name: str, seed: int) -> None:
    draw = drawn_text if name in TEXT_PAIRS else drawn_numbers
    a, b = draw(seed), draw(seed + 7)
    there, back = SYMMETRIC[name](a, b), SYMMETRIC[name](b, a)
    assert there.values == pytest.approx(back.values, abs=1e-12)


@pytest.mark.parametrize("name", [*TEXT_PAIRS, *REGRESSION_PAIRS])
@settings(deadline=None, max_examples=25)
@given(seed=SEEDS)
def test_learner_is_most_like_itself(name: str, seed: int) -> None:
    measure = {**TEXT_PAIRS, **REGRESSION_PAIRS}[name]
    one = drawn_text(seed) if name in TEXT_PAIRS else drawn_numbers(seed)
    expected = 0.0 if name in DISTANCES else 1.0
    assert measure(one, one).values == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ON_TEXT)
@settings(deadline=None, max_examples=25)
@given(seed=SEEDS)
def test_renumbering_the_tokens_changes_nothing(name: str, seed: int) -> None:
    new = np.random.default_rng(seed).permutation(N_VOCAB)  # token new[i] becomes i
    labels = tuple(int(np.flatnonzero(new == token)[0]) for token in (0, 2))
    before = [drawn_text(seed), drawn_text(seed + 1)]
    after = [text(o.log_probs[..., new], o.gold, labels) for o in before]
    measure = ON_TEXT[name]
    assert measure(after).values == pytest.approx(measure(before).values, abs=1e-12)


@pytest.mark.parametrize("name", ON_TEXT)
@settings(deadline=None, max_examples=25)
@given(seed=SEEDS)
def test_shifting_the_logits_changes_nothing(name: str, seed: int) -> None:
    shift = 50 * drawn(seed, N_SETS, N_QUERIES, 1)
    before = [drawn_text(seed), drawn_text(seed + 1)]
    after = [text(o.log_probs + shift, o.gold) for o in before]
    measure = ON_TEXT[name]
    assert measure(after).values == pytest.approx(measure(before).values, abs=1e-9)


LABELS_ONLY = [
    "label_jensen_shannon", "label_order_sensitivity", "label_accuracy",
    "gold_probability",
]  # fmt: skip


@pytest.mark.parametrize("name", LABELS_ONLY)
@settings(deadline=None, max_examples=25)
@given(seed=SEEDS)
def test_label_measure_ignores_all_other_tokens(name: str, seed: int) -> None:
    noise = drawn(seed + 5)
    noise[..., [0, 2]] = 0.0
    before = [drawn_text(seed), drawn_text(seed + 1)]
    after = [text(o.log_probs + noise, o.gold) for o in before]
    measure = ON_TEXT[name]
    assert measure(after).values == pytest.approx(measure(before).values, abs=1e-9)


@pytest.mark.parametrize("name", ON_TEXT)
def test_shuffling_the_queries_shuffles_the_values(name: str) -> None:
    order = np.array([2, 0, 3, 1])
    before = [drawn_text(1), drawn_text(2)]
    after = [text(o.log_probs[:, order], o.gold[:, order]) for o in before]
    measure = ON_TEXT[name]
    moved = measure(before).values[:, order]
    assert measure(after).values == pytest.approx(moved, abs=1e-12)


def test_disjoint_distributions_are_as_far_apart_as_can_be() -> None:
    one, other = spread([0.5, 0.5, NEVER, NEVER]), spread([NEVER, NEVER, 0.5, 0.5])
    assert total_variation(one, other).mean == pytest.approx(1.0)
    assert jensen_shannon(one, other).mean == pytest.approx(0.0)


def test_jensen_shannon_of_a_coin_and_a_certainty_is_lins() -> None:
    # Lin 1991: ½·log₂(1/.75) + ½(½·log₂(.5/.75) + ½·log₂(.5/.25)) = .3112781 bits
    found = jensen_shannon(spread([1 - 1e-15, 1e-15]), spread([0.5, 0.5]))
    assert 1 - found.mean == pytest.approx(0.3112781, abs=1e-7)


@settings(deadline=None)
@given(seed=SEEDS, k=st.integers(1, N_VOCAB))
def test_overlap_similarity_is_the_cosine_under_its_cap(seed: int, k: int) -> None:
    a, b = drawn_text(seed), drawn_text(seed + 1)
    outside = np.round(k * (1 - token_overlap(a, b, k=k).values))
    found, cosine = overlap_similarity(a, b, k=k), overlap_cosine(a, b, k=k)
    cap = 1 / np.sqrt(np.where(outside == 0, 1, outside))
    assert found.values == pytest.approx(cosine.values * cap)
    assert (found.values <= cap + 1e-12).all()


def test_overlap_similarity_reaches_its_cap_on_proportional_probabilities() -> None:
    # O = {0, 1} of K = 4, where the probabilities are proportional: 1/√2
    one = spread([0.4, 0.2, 0.15, 0.15, 0.06, 0.04])
    other = spread([0.36, 0.18, 0.05, 0.05, 0.18, 0.18])
    assert overlap_similarity(one, other, k=4).mean == pytest.approx(1 / math.sqrt(2))


def test_overlap_similarity_drops_its_factor_when_all_tokens_are_shared() -> None:
    # K = 2 and O = {0, 1}: (.5·.3 + .3·.5) / (.25 + .09)
    found = overlap_similarity(spread([0.5, 0.3, 0.2]), spread([0.3, 0.5, 0.2]), k=2)
    assert found.mean == pytest.approx(0.3 / 0.34)


@pytest.mark.parametrize("measure", [token_overlap, overlap_similarity, overlap_cosine])
def test_measures_on_shared_tokens_are_zero_without_any(measure: Pair) -> None:
    one, other = spread([0.4, 0.3, 0.2, 0.1]), spread([0.1, 0.2, 0.3, 0.4])
    assert measure(one, other, k=2).mean == 0.0  # type: ignore[call-arg]


@pytest.mark.parametrize("k", [0, N_VOCAB + 1])
@pytest.mark.parametrize("measure", [token_overlap, overlap_similarity, overlap_cosine])
def test_impossible_k_is_refused(measure: Pair, k: int) -> None:
    with pytest.raises(ShapeError, match=rf"k is {k}\. Expected 1 to {N_VOCAB}"):
        measure(drawn_text(0), drawn_text(1), k=k)  # type: ignore[call-arg]


@pytest.mark.parametrize("k", [1, 3, N_VOCAB])
def test_overlap_of_unrelated_answers_is_chance(k: int) -> None:
    a, b = text(drawn(1, 40, 50, N_VOCAB)), text(drawn(2, 40, 50, N_VOCAB))
    found = token_overlap(a, b, k=k)
    assert found.chance == k / N_VOCAB
    error = found.values.std() / math.sqrt(found.values.size)
    assert abs(found.mean - k / N_VOCAB) <= 4 * error


@pytest.mark.parametrize(("name", "options"), [("accuracy", N_VOCAB),
    ("label_accuracy", 2), ("gold_probability", 2)])  # fmt: skip
def test_accuracy_of_unrelated_answers_is_chance(name: str, options: int) -> None:
    gold = np.random.default_rng(0).integers(2, size=(40, 50))
    found = ONES[name](text(drawn(1, 40, 50, N_VOCAB), gold))
    assert found.chance == 1 / options
    error = found.values.std() / math.sqrt(found.values.size)
    assert abs(found.mean - 1 / options) <= 4 * error


def test_cosine_of_unrelated_sensitivities_is_chance() -> None:
    a, b = (numbers(sensitivities=drawn(seed, 5000, 6)) for seed in (1, 2))
    found = sensitivity_cosine(a, b)
    assert found.chance == 0.0
    assert abs(found.mean) <= 4 * math.sqrt(1 / 6 / 5000)  # E cos² = 1/n_inputs


def test_accuracy_looks_at_all_tokens_and_label_accuracy_at_labels() -> None:
    answer = spread([0.3, 0.6, 0.1], gold=0)  # token 1 is likeliest and no label
    assert (accuracy(answer).mean, label_accuracy(answer).mean) == (0.0, 1.0)


def test_parallel_and_opposite_sensitivities_are_one_and_minus_one() -> None:
    a, b = numbers(sensitivities=[[1, 2], [1, 2]]), [[2, 4], [-3, -6]]
    found = sensitivity_cosine(a, numbers(sensitivities=b))
    assert found.values[0].tolist() == pytest.approx([1.0, -1.0])


def test_sensitivities_of_zero_agree_with_zero_only() -> None:
    a = numbers(sensitivities=[[0, 0], [0, 0]])
    found = sensitivity_cosine(a, numbers(sensitivities=[[0, 0], [1, 0]]))
    assert found.values.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("name", REGRESSION_PAIRS)
@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, unit=st.sampled_from([1e-6, 0.1, 3.0, 1e6]))
def test_regression_measure_ignores_the_unit_of_the_answers(
    name: str, seed: int, unit: float
) -> None:
    pair = drawn_numbers(seed), drawn_numbers(seed + 7)
    inputs = {"queries"}
    scaled = [
        replace(
            o, arrays={k: v if k in inputs else v * unit for k, v in o.arrays.items()}
        )
        for o in pair
    ]
    measure = REGRESSION_PAIRS[name]
    assert measure(*scaled).values == pytest.approx(measure(*pair).values, rel=1e-9)


def test_answers_of_zero_leave_distances_in_raw_units() -> None:
    zero = numbers([1.0], answers=[0.0])
    assert prediction_distance(zero, numbers([3.0], answers=[0.0])).mean == 2.0


@pytest.mark.parametrize("name", TEXT_ORDERS)
@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, n_orders=st.integers(2, 6))
def test_equal_orders_are_exactly_indifferent(
    name: str, seed: int, n_orders: int
) -> None:
    assert not TEXT_ORDERS[name]([drawn_text(seed)] * n_orders).values.any()


@pytest.mark.parametrize("n_orders", [2, 3, 10])
def test_equal_predictions_are_exactly_indifferent_to_order(n_orders: int) -> None:
    assert not answer_order_sensitivity([drawn_numbers(3)] * n_orders).values.any()


@pytest.mark.parametrize("name", TEXT_ORDERS)
def test_order_sensitivity_ignores_in_which_order_the_orders_come(name: str) -> None:
    orders = [drawn_text(seed) for seed in range(3)]
    first, *others = (
        TEXT_ORDERS[name]([orders[0], *(orders[1 + i] for i in rest)]).values
        for rest in permutations(range(2))
    )
    for other in others:  # the relative form takes its scale from the first
        assert other == pytest.approx(first, abs=1e-12)


def test_order_sensitivity_of_two_certainties_is_one() -> None:
    # Each of two tokens has probabilities 0 and 1: a deviation of ½, twice.
    orders = [spread([1 - 1e-15, 1e-15]), spread([1e-15, 1 - 1e-15])]
    assert order_sensitivity(orders).mean == pytest.approx(1.0)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS)
def test_order_that_matters_like_the_demonstrations_is_one(seed: int) -> None:
    one, other = drawn_text(seed), drawn_text(seed + 1)
    found = relative_order_sensitivity([one, other], other)  # one pair, one divisor
    assert found.mean == pytest.approx(1.0)


@pytest.mark.parametrize("order", [0, 1])
def test_demonstrations_that_do_not_matter_leave_no_ratio(order: int) -> None:
    one, other = drawn_text(0), drawn_text(order)
    assert not relative_order_sensitivity([one, other], one).values.any()


def test_other_demonstrations_answer_the_same_cells() -> None:
    with pytest.raises(ShapeError, match="The learners answered different cells"):
        relative_order_sensitivity(ORDERS, drawn_text(0))


@pytest.mark.parametrize("measure", [*TEXT_ORDERS.values(), answer_order_sensitivity])
def test_one_order_has_no_sensitivity(measure: Orders) -> None:
    wording = (
        r"measured over 1 order\(s\)\. Expected at least 2\. Pass --orders 2 or more\."
    )
    with pytest.raises(ShapeError, match=wording):
        measure([drawn_text(0)])


@pytest.mark.parametrize("name", [*TEXT_PAIRS, *REGRESSION_PAIRS])
def test_learners_of_different_cells_are_refused(name: str) -> None:
    a, b = text(drawn(0, 3, 4, 7)), text(drawn(0, 3, 5, 7))
    if name in REGRESSION_PAIRS:
        a, b = numbers([1, 2]), numbers([1, 2, 3])
    with pytest.raises(ShapeError, match="The learners answered different cells"):
        {**TEXT_PAIRS, **REGRESSION_PAIRS}[name](a, b)


@pytest.mark.parametrize("name", ON_TEXT)
def test_measure_of_the_wrong_family_names_what_there_is(name: str) -> None:
    with pytest.raises(ShapeError, match=r"has no 'log_probs'; it has \['answers'"):
        ON_TEXT[name]([numbers([1.0]), numbers([1.0])])


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((0, 2)), np.zeros((1, 2, 3))])
def test_measurement_is_a_matrix_of_sets_and_queries(values: Array) -> None:
    with pytest.raises(ShapeError, match=r"Expected \(n_demonstration_sets, n_queries"):
        Measurement(name="gap", unit="nats", values=values)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_measurement_is_finite(bad: float) -> None:
    with pytest.raises(ShapeError, match="has 1 of 2 values that are NaN or infinite"):
        Measurement(name="gap", unit="nats", values=np.array([[0.0, bad]]))


def test_difference_of_measurements_is_taken_cell_by_cell() -> None:
    a, b = (Measurement(name="x", unit="u", values=drawn(s, 2, 3)) for s in (0, 1))
    assert a.minus(b).values == pytest.approx(a.values - b.values)
    assert a.minus(b).mean == pytest.approx(a.mean - b.mean)
    with pytest.raises(ShapeError, match="Expected the same sets and queries"):
        a.minus(Measurement(name="x", unit="u", values=drawn(0, 2, 4)))
