"""Answers over a large vocabulary are kept in part, and nothing is claimed too surely.

First tokens and labels read the same from what is kept; distances are estimates, and
their standard errors say how far the truth may be.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from probes import measures as m
from probes.engine.store import Store
from probes.errors import ShapeError
from probes.measurement import Measurement
from probes.measures.bounds import measure_sum
from probes.observations.likeliest_tokens import likeliest
from probes.observations.mixture import averaged
from probes.observations.observation import Observation
from probes.observations.token_sums import TokenSum, sum_over_tokens
from probes.observations.truncation import N_BYTES, N_EXACT, SMALL, truncated

LABELS = [5, 4000, 9200]  # the last is unlikely to every learner
SHAPE = (2, 3)
WIDE = 9300
assert WIDE > SMALL

Floats = NDArray[Any]


def normalised(logits: Floats) -> Floats:
    logits = logits.astype(np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return np.asarray(log_probs.astype(np.float32))


def drawn(seed: int, n: int, *, n_vocab: int = WIDE, sharp: float = 5.0) -> list[Any]:
    """Draw answers of learners that have something in common."""
    rng = np.random.default_rng(seed)
    shape = (*SHAPE, n_vocab)
    shared = rng.normal(size=shape)
    return [normalised(sharp * (shared + rng.normal(size=shape) / 3)) for _ in range(n)]


def observed(log_probs: Floats, *, whole: bool) -> Observation:
    arrays = {"log_probs": log_probs} if whole else truncated(log_probs, LABELS)
    gold = np.arange(6).reshape(SHAPE) % len(LABELS)
    facts: dict[str, Any] = {"label_tokens": LABELS}
    facts["n_vocab"] = log_probs.shape[-1]
    return Observation(arrays={**arrays, "gold": gold}, facts=facts)


def both(seed: int, n: int = 2) -> tuple[list[Observation], list[Observation]]:
    """Give the same answers whole and in part."""
    answers = drawn(seed, n)
    whole = [observed(one, whole=True) for one in answers]
    part = [observed(one, whole=False) for one in answers]
    assert not any(one.is_whole for one in part)
    return whole, part


EXACT = {
    "accuracy": lambda o: m.accuracy(o[0]),
    "label_accuracy": lambda o: m.label_accuracy(o[0]),
    "gold_probability": lambda o: m.gold_probability(o[0]),
    "token_overlap": lambda o: m.token_overlap(*o[:2]),
    "overlap_similarity": lambda o: m.overlap_similarity(*o[:2]),
    "overlap_cosine": lambda o: m.overlap_cosine(*o[:2]),
    "label_jensen_shannon": lambda o: m.label_jensen_shannon(*o[:2]),
    "label_total_variation": lambda o: m.label_total_variation(*o[:2]),
    "label_order_sensitivity": m.label_order_sensitivity,
    "corrected": lambda o: m.corrected(*o[:2]),
}
BOUNDED = {
    "jensen_shannon": lambda o: m.jensen_shannon(*o[:2]),
    "total_variation": lambda o: m.total_variation(*o[:2]),
    "change_size": lambda o: m.change_size(*o[:2]),
    "distance_reduction": lambda o: m.distance_reduction(*o[:3]),
    "order_sensitivity": m.order_sensitivity,
    "relative_order_sensitivity": lambda o: m.relative_order_sensitivity(o[:3], o[3]),
    "change_agreement": lambda o: m.change_agreement((o[0], o[1]), (o[2], o[3])),
}
NEAR = 1e-6  # float32 log-probabilities, added up in other orders
ERROR = 1e-3  # the stated error of a mean over 400 answers


# ------------------------------------------------------------------- what is kept


def test_a_small_vocabulary_is_kept_as_it_is() -> None:
    (answers,) = drawn(0, 1, n_vocab=SMALL)
    assert truncated(answers, LABELS[:2])["log_probs"] is answers


@pytest.mark.parametrize("n_vocab", [SMALL + 1, 49_152, 262_144])
@pytest.mark.parametrize("sharp", [0.0, 0.5, 9.0])
def test_an_observation_takes_two_megabytes_at_most(n_vocab: int, sharp: float) -> None:
    rng = np.random.default_rng(0)
    answers = normalised(sharp * rng.normal(size=(1, 4, n_vocab)))
    gold = rng.integers(0, n_vocab, size=(1, 4, 8))
    parts = truncated(answers, LABELS[:2], gold_tokens=gold)
    n_bytes = sum(array.nbytes for array in parts.values()) / 4
    assert n_bytes <= N_BYTES
    assert 400 * N_BYTES <= 2_000_000


@given(st.integers(0, 1 << 16), st.floats(0, 9))
@settings(deadline=None, max_examples=8)
def test_labels_gold_and_first_tokens_are_kept_exactly(seed: int, sharp: float) -> None:
    (answers,) = drawn(seed, 1, sharp=sharp)
    gold = np.random.default_rng(seed).integers(0, WIDE, size=(*SHAPE, 2))
    parts = truncated(answers, LABELS, gold_tokens=gold)
    for place in np.ndindex(SHAPE):
        tokens = parts["exact_tokens"][place]
        assert (np.diff(tokens) > 0).all()
        np.testing.assert_array_equal(
            parts["exact_log_probs"][place], answers[place][tokens]
        )
        first = np.argsort(-answers[place], kind="stable")[:N_EXACT]
        assert {*LABELS, *gold[place], *first} <= set(tokens.tolist())


def test_of_tokens_that_are_as_likely_the_lower_ones_are_first() -> None:
    logits = np.full((1, 1, WIDE), -30.0)
    logits[..., 100:400] = 0.0
    first = likeliest(observed(normalised(logits), whole=False), N_EXACT)[0]
    assert first[0, 0].tolist() == list(range(100, 100 + N_EXACT))


def test_a_tensor_of_torch_is_read_as_it_is() -> None:
    torch = pytest.importorskip("torch")
    (answers,) = drawn(0, 1)
    ours = truncated(torch.from_numpy(answers), LABELS)
    for name, array in truncated(answers, LABELS).items():
        np.testing.assert_array_equal(ours[name], array)


def test_a_set_alone_is_kept_as_among_others() -> None:
    (answers,) = drawn(0, 1)
    alone = truncated(answers[1:], LABELS, first_set=1)
    among = observed(answers, whole=False).of_set(1)
    ours = replace(among, arrays={**alone, "gold": among.gold})
    for name in ("exact_tokens", "sampled_ids", "code_range", "places"):
        np.testing.assert_array_equal(among[name], ours[name])
    assert m.total_variation(ours, among).values.max() == 0


def test_a_kept_answer_goes_through_the_store(tmp_path: Path) -> None:
    store, key = Store(tmp_path), "0" * 32
    _, (one, _) = both(1)
    store.put(replace(one, key=key))
    back = store.get(key)
    assert back is not None
    assert back.facts == one.facts
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(back[name], array)
    assert m.total_variation(one, back).values.max() == 0


def test_the_whole_distribution_is_not_there_to_be_read_and_says_so() -> None:
    _, (one, _) = both(1)
    with pytest.raises(ShapeError, match="keeps some of 9300 tokens"):
        _ = one.log_probs


# --------------------------------------------------------------- what is measured


@pytest.mark.parametrize("name", EXACT)
def test_labels_and_first_tokens_are_measured_exactly(name: str) -> None:
    for seed in range(3):
        whole, part = map(EXACT[name], both(seed, 4))
        np.testing.assert_allclose(part.values, whole.values, atol=1e-12)
        assert part.is_exact
        assert part.chance == whole.chance


@pytest.mark.parametrize("name", BOUNDED)
def test_distances_of_sharp_answers_are_nearly_exact(name: str) -> None:
    for seed in range(3):
        whole, part = both(seed, 4)
        truth, found = BOUNDED[name](whole), BOUNDED[name](part)
        assert truth.is_exact
        assert not found.is_exact
        np.testing.assert_allclose(found.values, truth.values, atol=0.01)


PAIRS = ("jensen_shannon", "total_variation", "order_sensitivity")


def flat_pairs(kind: str, n_vocab: int) -> list[Floats]:
    """Draw four flat answers for each of 60 queries."""
    rng = np.random.default_rng(5)
    shape = (3, 20, n_vocab)
    common = rng.normal(size=shape)
    noise = [rng.normal(size=shape) for _ in range(4)]
    if kind == "mixed":
        even = np.exp(normalised(common / 2)) / 2
        return [np.log(even + np.exp(normalised(4 * z)) / 2) for z in noise]
    logits = {
        "alike": [common / 2 + z / 20 for z in noise],
        "apart": [2 * z for z in noise],
        "few": [np.where(np.arange(n_vocab) < 3000, z / 2, -30) for z in noise],
    }
    return [normalised(one) for one in logits[kind]]


@pytest.mark.parametrize("kind", ["alike", "apart", "few", "mixed"])
def test_distances_of_flat_answers_are_within_the_stated_error(kind: str) -> None:
    answers = flat_pairs(kind, 20_000)
    whole = [observed_wide(one, whole=True) for one in answers]
    part = [observed_wide(one, whole=False) for one in answers]
    for name in PAIRS:
        truth, found = BOUNDED[name](whole), BOUNDED[name](part)
        errors = found.values - truth.values
        of_400 = np.sqrt((errors**2).mean() / 400)
        assert 2 * of_400 <= 1.1 * ERROR
        width = (found.at_most().mean - found.at_least().mean) / 2
        stated = width / 2 * np.sqrt(errors.size / 400)
        # the stated standard error is the true one, and there is no bias
        assert 0.6 * of_400 <= stated <= 2 * of_400
        assert abs(errors.mean()) <= 4 * stated * np.sqrt(400 / errors.size)


def observed_wide(log_probs: Floats, *, whole: bool) -> Observation:
    arrays = {"log_probs": log_probs} if whole else truncated(log_probs, LABELS)
    gold = np.zeros(log_probs.shape[:2], dtype=int)
    facts = {"label_tokens": LABELS, "n_vocab": log_probs.shape[-1]}
    return Observation(arrays={**arrays, "gold": gold}, facts=facts)


def test_equal_flat_answers_are_equal() -> None:
    one = observed_wide(flat_pairs("alike", 9300)[0], whole=False)
    assert m.total_variation(one, one).values.max() <= 1e-9
    assert m.order_sensitivity([one] * 3).values.max() <= 1e-9


def test_one_moved_token_of_a_flat_answer_is_seen() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 10, WIDE)) / 2
    moved = logits.copy()
    moved[..., 77] += 9
    pair = [normalised(one) for one in (logits, moved)]
    truth = m.total_variation(*(observed_wide(one, whole=True) for one in pair))
    found = m.total_variation(*(observed_wide(one, whole=False) for one in pair))
    np.testing.assert_allclose(found.values, truth.values, atol=2e-3)


def test_bounds_are_those_of_the_mean() -> None:
    summed = TokenSum(values=np.full((2, 2), 0.5), errors=np.full((2, 2), 0.1))
    found = measure_sum(
        lambda sums: Measurement(name="", unit="", values=1 - sums), summed
    )
    assert found.at_least().mean == pytest.approx(0.4)  # 2 · .1 / √4
    assert found.at_most().mean == pytest.approx(0.6)


# ------------------------------------------------------- averages of kept answers


def test_an_average_of_kept_answers_is_compared_as_a_whole_one_is() -> None:
    whole, part = both(3, 3)
    truth, found = averaged(whole), averaged(part)
    np.testing.assert_allclose(found.label_log_probs, truth.label_log_probs, atol=1e-6)
    assert found.shape == truth.shape
    other_whole, other_part = both(4, 1)
    for name in ("jensen_shannon", "total_variation"):
        ours = BOUNDED[name]([found, other_part[0]])
        theirs = BOUNDED[name]([truth, other_whole[0]])
        np.testing.assert_allclose(ours.values, theirs.values, atol=0.01)


def test_more_first_tokens_than_are_known_are_refused() -> None:
    _, (one, other) = both(1)
    with pytest.raises(ShapeError, match="are not known for certain"):
        likeliest(one, N_EXACT + 1)
    with pytest.raises(ShapeError, match="are not known for certain"):
        likeliest(averaged([one, other]), 1)


def test_answers_to_other_queries_are_still_refused() -> None:
    _, (one, other) = both(1)
    with pytest.raises(ShapeError, match="different cells"):
        sum_over_tokens(lambda logs: logs[0], one, other.of_set(0))


def test_truncated_answers_have_a_shape_with_labels_and_without() -> None:
    (answers,) = drawn(0, 1, sharp=1.0)
    gold = np.zeros((*SHAPE, 1), dtype=np.int64)
    parts = truncated(answers, [], gold_tokens=gold)
    labelled = {"gold": gold[..., 0]}, {"label_tokens": LABELS}
    for right, facts in (labelled, ({"gold_tokens": gold}, {})):
        kept = Observation(arrays={**parts, **right}, facts={"n_vocab": WIDE, **facts})
        assert kept.shape == (*SHAPE, WIDE)
