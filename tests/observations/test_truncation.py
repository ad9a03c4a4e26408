"""Answers over a large vocabulary are kept in part, and nothing is claimed too surely.

First tokens and labels read the same from what is kept; distances come with bounds, and
the truth lies between them.
"""

from __future__ import annotations

import contextlib
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
from probes.measures import bounds
from probes.observations.common_support import (
    UNKNOWN,
    likeliest,
    on_common_support,
)
from probes.observations.mixture import averaged
from probes.observations.observation import Observation
from probes.observations.truncation import LEAST_KEPT, MOST_REST, SMALL, truncated
from tests.support.mutation import mutants

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
    arrays = {"log_probs": log_probs} if whole else truncated(log_probs, LABELS)
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
    "distance_reduction": lambda o: m.distance_reduction(*o[:3]),
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
    assert truncated(answers, LABELS[:2])["log_probs"] is answers


def test_flat_answers_are_kept_whole_because_no_few_tokens_describe_them() -> None:
    (flat,) = drawn(0, 1, sharp=0.1)
    assert truncated(flat, LABELS)["log_probs"] is flat


@given(st.integers(0, 1 << 16), st.floats(3, 9))
@settings(deadline=None, max_examples=8)
def test_what_is_kept_is_little_and_leaves_little(seed: int, sharp: float) -> None:
    (answers,) = drawn(seed, 1, sharp=sharp)
    parts = truncated(answers, LABELS)
    assert np.exp(parts["log_rest"]).mean() <= MOST_REST
    said = np.exp(parts["token_log_probs"].astype(float)).sum(-1)
    np.testing.assert_allclose(said + np.exp(parts["log_rest"]), 1, atol=NEAR)
    assert LEAST_KEPT + len(LABELS) <= parts["tokens"].shape[-1] < WIDE / 2
    n_bytes = sum(array.nbytes for array in parts.values())
    assert n_bytes < answers.nbytes


def test_of_tokens_that_are_as_likely_the_lower_ones_are_kept() -> None:
    logits = np.full((1, 1, WIDE), -30.0)
    logits[..., 100:400] = 0.0  # more than are kept
    logits[..., LABELS] = 20.0  # nearly all there is: no more than the least are kept
    tokens = truncated(normalised(logits), LABELS)["tokens"][0, 0]
    levels = [t for t in tokens.tolist() if 100 <= t < 400]
    assert levels == list(range(100, 100 + LEAST_KEPT))
    assert set(LABELS) < set(tokens.tolist())


def test_a_kept_answer_goes_through_the_store_and_takes_little_there(
    tmp_path: Path,
) -> None:
    store, sizes = Store(tmp_path), []
    for place, one in enumerate(o[0] for o in both(1)):
        key = f"{place:032}"
        store.put(replace(one, key=key))
        sizes.append(store.path(key).stat().st_size)
    back = store.get(key)
    assert back is not None
    assert back.facts == one.facts
    assert sizes[0] > 5 * sizes[1]
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(back[name], array)
    assert m.accuracy(back).mean == m.accuracy(one).mean


def test_the_whole_distribution_is_not_there_to_be_read_and_says_so() -> None:
    _, (one, _) = both(1)
    with pytest.raises(ShapeError, match=r"keeps \d+ of 9300 tokens and the prob"):
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


@pytest.mark.parametrize("name", ["jensen_shannon", "total_variation"])
def test_the_ends_of_a_distance_are_as_near_as_the_rests_are_small(name: str) -> None:
    _, part = both(7, 4)
    found = BOUNDED[name](part)
    width = found.at_most().mean - found.at_least().mean
    assert 0 < width < 10 * MOST_REST


def partly_known(seed: int, n: int) -> tuple[list[Observation], list[Observation]]:
    """Draw answers of which half the tokens and the better part may be unknown."""
    rng = np.random.default_rng(seed)
    shape, n_vocab = (40, 5), 6
    whole, part = [], []
    for _ in range(n):
        p = rng.dirichlet(np.full(n_vocab, 0.4), size=shape) + 1e-12
        tokens = np.sort(
            rng.permuted(np.zeros(shape, int)[..., None] + range(6), axis=-1)[..., :3]
        )
        rest = p.copy()
        np.put_along_axis(rest, tokens, 0.0, axis=-1)
        whole.append(
            Observation(arrays={"log_probs": np.log(p / p.sum(-1, keepdims=True))})
        )
        arrays = {
            "tokens": tokens.astype(np.int32),
            "token_log_probs": np.log(np.take_along_axis(p, tokens, axis=-1)),
            "log_rest": np.log(rest.sum(-1)),
            "log_largest": np.log(rest.max(-1)),
        }
        part.append(Observation(arrays=arrays, facts={"n_vocab": n_vocab}))
    return whole, part


@pytest.mark.parametrize("name", BOUNDED)
def test_the_ends_hold_wherever_the_rests_are(name: str) -> None:
    for seed in range(5):
        whole, part = partly_known(seed, 4)
        assert is_between(BOUNDED[name](part), BOUNDED[name](whole))
        assert is_between(BOUNDED[name]([*part[:2], *whole[2:]]), BOUNDED[name](whole))


def by_hand(known: dict[int, float], rest: float) -> Observation:
    tokens = np.array(list(known), dtype=np.int32)[None, None]
    arrays = {
        "tokens": tokens,
        "token_log_probs": np.log(list(known.values()))[None, None],
        "log_rest": np.log([[rest]]),
        "log_largest": np.log([[rest]]),
    }
    return Observation(arrays=arrays, facts={"n_vocab": 5})


PAIR = on_common_support(by_hand({0: 0.5, 1: 0.3}, 0.2), by_hand({0: 0.4, 2: 0.5}, 0.1))
HALF = Measurement(name="half", unit="", values=np.array([[0.5]]))
RESTS = (np.array([[0.3, 0.0, 0.1]]), np.array([[0.1, 0.0, 0.3]]))


def reach(found: Measurement) -> list[float]:
    return [HALF.mean - found.at_least().mean, found.at_most().mean - HALF.mean]


BOUNDS: dict[str, tuple[Any, list[float]]] = {
    # .2 · h(¼)
    "mixing": (lambda f: f(*RESTS), [0.1622556, 0.0, 0.1622556]),
    # a mean of .2; and √2 times it
    "hidden_spread": (
        lambda f: [f(RESTS), f(RESTS, ddof=1)],
        [0.2, 0.0, 0.2, 0.2828427, 0.0, 0.2828427],
    ),
    # mixing of .2 and .1; of .3 and .1, and of .5 and .2
    "bound_divergence": (lambda f: reach(f(HALF, PAIR)), [0.1377444, 0.4643478]),
    "bound_total_variation": (lambda f: reach(f(HALF, PAIR)), [0.2, 0.1]),
    # .15 more and less the rests' own deviation of .05
    "bound_spread": (lambda f: reach(f(HALF, PAIR)), [0.2, 0.1]),
}


HELPERS = ("mixing", "hidden_spread")  # each has an answer of its own


def is_bound(name: str, function: Any) -> bool:
    ask, wanted = BOUNDS[name]
    found = np.ravel(ask(function))
    return found.shape == np.shape(wanted) and bool(
        np.allclose(found, wanted, rtol=0, atol=1e-6)
    )


@pytest.mark.parametrize("name", BOUNDS)
def test_a_broken_bound_is_seen(name: str) -> None:
    assert is_bound(name, getattr(bounds, name))
    elsewhere = [b.said for of in HELPERS if of != name for b in mutants(bounds, of)]
    broken = [b for b in mutants(bounds, name) if "↔" not in b.said]
    broken = [b for b in broken if b.said not in elsewhere]
    assert broken
    alive = []
    for mutant in broken:
        with np.errstate(all="ignore"), contextlib.suppress(TypeError, ValueError):
            if is_bound(name, mutant.function):
                alive.append(mutant.said)
    assert alive == []


def small(*probabilities: float) -> Observation:
    log_probs = np.log(np.maximum(probabilities, 1e-300))
    return Observation(arrays={"log_probs": log_probs[None, None]})


@pytest.mark.parametrize("name", ["jensen_shannon", "total_variation"])
def test_the_ends_are_reached(name: str) -> None:
    apart = small(0, 0.3, 0, 0.7, 0), small(0.1, 0, 0, 0, 0.9)
    found = BOUNDED[name]([by_hand({3: 0.7}, 0.3), by_hand({4: 0.9}, 0.1)])
    same = small(0.7, 0.3), small(0.7, 0.3)
    filled = BOUNDED[name]([by_hand({0: 0.7, 1: 0.3}, 1e-9), by_hand({0: 0.7}, 0.3)])
    far, near = found.at_most(), filled.at_least()
    if name == "jensen_shannon":  # a similarity
        far, near = found.at_least(), filled.at_most()
    assert far.mean == pytest.approx(BOUNDED[name](apart).mean, abs=1e-6)
    assert near.mean == pytest.approx(BOUNDED[name](same).mean, abs=1e-6)


# ------------------------------------------------------- averages of kept answers


def test_an_average_of_kept_answers_is_exact_where_all_know_a_token() -> None:
    whole, part = both(3, 3)
    truth, found = averaged(whole), averaged(part)
    np.testing.assert_allclose(found.label_log_probs, truth.label_log_probs, atol=1e-6)
    shared = on_common_support(found)
    for place in np.ndindex(SHAPE):
        ours = found["token_log_probs"][place]
        is_known = ours > UNKNOWN
        ours, tokens = ours[is_known], found["tokens"][place][is_known]
        assert len(tokens) > 100
        np.testing.assert_allclose(ours, truth.log_probs[place][tokens], atol=1e-6)
    mass = np.exp(shared.known[0]).sum(-1) + shared.rests[0]
    np.testing.assert_allclose(mass, 1, atol=NEAR)
    other_whole, other_part = both(4, 1)
    distance = m.total_variation(found, other_part[0])
    assert is_between(distance, m.total_variation(truth, other_whole[0]))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_token_of_an_averages_rest_is_likelier_than_it_says(n: int) -> None:
    whole, part = partly_known(0, n)
    truth, found = np.exp(averaged(whole).log_probs), averaged(part)
    for place in np.ndindex(truth.shape[:2]):
        is_known = found["token_log_probs"][place] > UNKNOWN
        rest = np.delete(truth[place], found["tokens"][place][is_known])
        assert rest.max() <= np.exp(found["log_largest"][place]) + NEAR
        assert rest.sum() == pytest.approx(np.exp(found["log_rest"][place]))


def test_more_first_tokens_than_are_known_are_refused() -> None:
    _, (one, _) = both(1)
    with pytest.raises(ShapeError, match="tokens, and others may be likelier"):
        likeliest(one, 5000)


def test_answers_to_other_queries_are_still_refused() -> None:
    _, (one, other) = both(1)
    with pytest.raises(ShapeError, match="different cells"):
        on_common_support(one, other.of_set(0))
