"""Answers over a large vocabulary are kept in part, and nothing is claimed too surely.

First tokens and labels read the same from what is kept; distances come with ends, and
the truth lies between them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from probes import measures as m
from probes.engine.entry import decode, encode
from probes.errors import ShapeError
from probes.measurement import Measurement
from probes.measures import ends
from probes.observation import Observation
from probes.outcome_space import averaged, common, likeliest
from probes.vocabulary import LEAST_KEPT, MOST_REST, SMALL, kept
from tests.mutation import mutants

LABELS = [5, 4000, 9200]  # the last is unlikely to every learner
SHAPE = (2, 3)
WIDE = 9300
assert WIDE > SMALL

Floats = NDArray[Any]


def normalised(logits: Floats) -> Floats:
    log_probs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    return log_probs.astype(np.float32)


def drawn(seed: int, n: int, *, n_vocab: int = WIDE, sharp: float = 5.0) -> list[Any]:
    """Draw answers of learners that have something in common."""
    rng = np.random.default_rng(seed)
    shape = (*SHAPE, n_vocab)
    shared = rng.normal(size=shape)
    return [normalised(sharp * (shared + rng.normal(size=shape) / 3)) for _ in range(n)]


def observed(log_probs: Floats, *, whole: bool) -> Observation:
    arrays = {"log_probs": log_probs} if whole else kept(log_probs, LABELS)
    gold = np.arange(6).reshape(SHAPE) % len(LABELS)
    facts: dict[str, Any] = {"label_tokens": LABELS}
    if "tokens" in arrays:
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
    "nearer_by": lambda o: m.nearer_by(*o[:3]),
    "order_sensitivity": m.order_sensitivity,
    "relative_order_sensitivity": lambda o: m.relative_order_sensitivity(o[:3], o[3]),
    "change_agreement": lambda o: m.change_agreement((o[0], o[1]), (o[2], o[3])),
}
NEAR = 1e-6  # float32 log-probabilities, added up in other orders


def is_between(found: Measurement, truth: Measurement) -> bool:
    least, most = found.at_least().values, found.at_most().values
    return bool(
        (least <= truth.values + NEAR).all() and (truth.values <= most + NEAR).all()
    )


# ------------------------------------------------------------------- what is kept


def test_a_small_vocabulary_is_kept_as_it_is() -> None:
    (answers,) = drawn(0, 1, n_vocab=SMALL)
    assert kept(answers, LABELS[:2])["log_probs"] is answers


def test_flat_answers_are_kept_whole_for_no_few_tokens_tell_them() -> None:
    (flat,) = drawn(0, 1, sharp=0.1)
    assert kept(flat, LABELS)["log_probs"] is flat


@given(st.integers(0, 1 << 16), st.floats(3, 9))
@settings(deadline=None, max_examples=8)
def test_what_is_kept_is_little_and_leaves_little(seed: int, sharp: float) -> None:
    (answers,) = drawn(seed, 1, sharp=sharp)
    parts = kept(answers, LABELS)
    assert np.exp(parts["log_rest"]).mean() <= MOST_REST
    told = np.exp(parts["token_log_probs"].astype(float)).sum(-1)
    np.testing.assert_allclose(told + np.exp(parts["log_rest"]), 1, atol=NEAR)
    assert LEAST_KEPT + len(LABELS) <= parts["tokens"].shape[-1] < WIDE / 2
    n_bytes = sum(array.nbytes for array in parts.values())
    assert n_bytes < answers.nbytes


def test_of_tokens_that_are_as_likely_the_lower_ones_are_kept() -> None:
    logits = np.full((1, 1, WIDE), -30.0)
    logits[..., 100:400] = 0.0  # more than are kept
    logits[..., LABELS] = 1.0
    tokens = kept(normalised(logits), LABELS)["tokens"][0, 0]
    levels = [t for t in tokens.tolist() if 100 <= t < 400]
    assert levels == list(range(100, 100 + len(levels)))
    assert set(LABELS) < set(tokens.tolist())


def test_a_kept_answer_comes_back_from_its_entry() -> None:
    _, (one, _) = both(1)
    key = "0" * 32
    stored = Observation(arrays=one.arrays, facts=one.facts, key=key)
    back = decode(encode(stored), key)
    assert back.facts == one.facts
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(back[name], array)
    assert m.accuracy(back).mean == m.accuracy(one).mean


def test_the_whole_distribution_is_not_there_to_be_read_and_says_so() -> None:
    _, (one, _) = both(1)
    with pytest.raises(ShapeError, match=r"keeps \d+ of 9300 tokens and the mass"):
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
def test_the_truth_of_a_distance_lies_between_its_ends(name: str) -> None:
    for seed in range(3):
        whole, part = both(seed, 4)
        truth, found = BOUNDED[name](whole), BOUNDED[name](part)
        assert truth.is_exact
        assert not found.is_exact
        assert is_between(found, truth)
        mixed = BOUNDED[name]([part[0], *whole[1:]])  # one kept in part is enough
        assert is_between(mixed, truth)


@pytest.mark.parametrize(
    ("name", "sign"),
    [("jensen_shannon", -1), ("total_variation", 1), ("order_sensitivity", 1)],
)
def test_merging_tokens_never_moves_answers_apart(name: str, sign: int) -> None:
    whole, part = both(7, 4)
    gap = sign * (BOUNDED[name](whole).values - BOUNDED[name](part).values)
    assert (gap >= -NEAR).all()
    assert gap.max() > 1e-5  # something is hidden, or nothing was tested


def small(*probabilities: float) -> Observation:
    log_probs = np.log(np.maximum(probabilities, 1e-300))
    return Observation(arrays={"log_probs": log_probs[None, None]})


APART = [small(0.3, 0.0, 0.7), small(0.0, 0.1, 0.9)]
MERGED = [small(0.3, 0.7), small(0.1, 0.9)]
RESTS = (np.array([[0.3, 0.0, 0.1]]), np.array([[0.1, 0.0, 0.3]]))
BOUNDS = {
    # .2 · h(¼)
    "hidden_divergence": (lambda f: f(*RESTS), [0.1622556, 0.0, 0.1622556]),
    "hidden_variation": (lambda f: f(*RESTS), [0.1, 0.0, 0.1]),
    # mean .2, less the deviation .1; and both times √2
    "hidden_spread": (
        lambda f: np.append(f(RESTS), f(RESTS, ddof=1)),
        [0.1, 0.0, 0.1, 0.1414214, 0.0, 0.1414214],
    ),
}


def is_bound(name: str, function: Any) -> bool:
    ask, wanted = BOUNDS[name]
    return bool(np.allclose(np.ravel(ask(function)), wanted, atol=1e-6))


def test_rests_that_are_disjoint_reach_the_bounds() -> None:
    hidden = {
        "hidden_divergence": m.jensen_shannon(*MERGED).minus(m.jensen_shannon(*APART)),
        "hidden_variation": m.total_variation(*APART).minus(m.total_variation(*MERGED)),
        "hidden_spread": m.order_sensitivity(APART).minus(m.order_sensitivity(MERGED)),
    }
    for name, found in hidden.items():
        assert found.mean == pytest.approx(BOUNDS[name][1][0], abs=1e-6)


@pytest.mark.parametrize("name", BOUNDS)
def test_a_broken_bound_is_seen(name: str) -> None:
    assert is_bound(name, getattr(ends, name))
    broken = [b for b in mutants(ends, name) if "↔" not in b.told]  # all symmetric
    with np.errstate(all="ignore"):
        assert [b.told for b in broken if is_bound(name, b.function)] == []


# ------------------------------------------------------- averages of kept answers


def test_an_average_of_kept_answers_is_exact_where_all_know_a_token() -> None:
    whole, part = both(3, 3)
    truth, found = averaged(whole), averaged(part)
    np.testing.assert_allclose(found.label_log_probs, truth.label_log_probs, atol=1e-6)
    shared = common(found)
    for place in np.ndindex(SHAPE):
        tokens = found["tokens"][place]
        tokens = tokens[tokens < WIDE]
        ours = found["token_log_probs"][place][: len(tokens)]
        np.testing.assert_allclose(ours, truth.log_probs[place][tokens], atol=1e-6)
    mass = np.exp(shared.known[0]).sum(-1) + shared.rests[0]
    np.testing.assert_allclose(mass, 1, atol=NEAR)
    other_whole, other_part = both(4, 1)
    distance = m.total_variation(found, other_part[0])
    assert is_between(distance, m.total_variation(truth, other_whole[0]))


def test_more_first_tokens_than_are_known_are_refused() -> None:
    _, (one, _) = both(1)
    with pytest.raises(ShapeError, match="tokens are kept, and others may be likelier"):
        likeliest(one, 5000)


def test_answers_to_other_queries_are_still_refused() -> None:
    _, (one, other) = both(1)
    with pytest.raises(ShapeError, match="different cells"):
        common(one, other.of_set(0))
