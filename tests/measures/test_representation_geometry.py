"""Debiased CKA: what it ignores, what it is at chance, and how it varies."""

from __future__ import annotations

import numpy as np
import pytest

from probes.errors import ShapeError
from probes.measurement import Array
from probes.measures import label_neighbours, representation_similarity
from probes.measures.representation_geometry import labels_apart, similarity_by_layer
from probes.observations.observation import Observation
from tests.support.known_answers import text

N_QUERIES, D_MODEL = 40, 64
SQUARE = np.random.default_rng(0).normal(size=(D_MODEL, D_MODEL))
ROTATION = np.linalg.qr(SQUARE)[0]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def inside(outputs: Array) -> Observation:
    return Observation(arrays={"outputs": outputs})


def drawn(
    rng: np.random.Generator, n_sets: int = 10, n_layers: int = 2, d: int = D_MODEL
) -> Array:
    return rng.normal(size=(n_sets, N_QUERIES, n_layers, d))


def test_a_rotation_a_shift_and_a_scale_do_not_matter(rng: np.random.Generator) -> None:
    ours = drawn(rng)
    moved = inside(3 * ours @ ROTATION + 5)
    found = representation_similarity(inside(ours), moved).values
    assert found == pytest.approx(1)


def test_unrelated_activations_score_0_where_plain_cka_does_not(
    rng: np.random.Generator,
) -> None:
    ours, theirs = drawn(rng, 100), drawn(rng, 100)
    assert abs(representation_similarity(inside(ours), inside(theirs)).mean) < 0.01
    a, b = (h[0, :, 0] - h[0, :, 0].mean(axis=0) for h in (ours, theirs))
    plain = np.linalg.norm(a.T @ b) ** 2
    plain /= np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    assert plain > 0.5


def test_values_vary_as_their_mean_does(rng: np.random.Generator) -> None:
    """Without pairs counted twice, the error would seem half as large."""
    directions = rng.normal(size=(5, D_MODEL))
    means, errors = [], []
    for _ in range(300):
        shared = drawn(rng, 1, 1, 5) @ directions
        arms = inside(shared + drawn(rng, 1, 1)), inside(shared + 2 * drawn(rng, 1, 1))
        found = representation_similarity(*arms)
        means.append(found.mean)
        errors.append(found.values.std(ddof=1) / np.sqrt(N_QUERIES))
    assert np.std(means) / np.mean(errors) == pytest.approx(1.1, abs=0.2)


def test_layers_are_named_from_the_first_to_the_last(rng: np.random.Generator) -> None:
    ours, theirs = inside(drawn(rng, n_layers=9)), inside(drawn(rng, n_layers=9))
    layers = similarity_by_layer(ours, theirs)
    assert list(layers) == [f"layer {n} of 9" for n in (1, 3, 5, 7, 9)]
    alone = representation_similarity(ours, theirs, layer=2).values
    assert layers["layer 3 of 9"].values == pytest.approx(alone)


def test_collapsed_activations_have_neighbours_of_their_label_only(
    rng: np.random.Generator,
) -> None:
    gold = np.arange(N_QUERIES)[None] % 4
    answers = text(np.zeros((1, N_QUERIES, 4)), gold, labels=(0, 1, 2, 3))
    centres = 100 * rng.normal(size=(4, D_MODEL))
    collapsed = inside(centres[gold][:, :, None] + drawn(rng, 1, 1))
    assert label_neighbours(collapsed, answers).mean == 1
    at_random = label_neighbours(inside(drawn(rng, 1, 1)), answers)
    assert at_random.chance == pytest.approx(9 / 39)
    assert at_random.mean == pytest.approx(9 / 39, abs=0.1)


def test_open_answers_have_no_labels_to_lie_apart(rng: np.random.Generator) -> None:
    words = Observation(arrays={"gold_tokens": np.zeros((1, N_QUERIES, 1), int)})
    assert labels_apart(words, ICL=inside(drawn(rng))) == {}


def test_other_queries_and_too_few_are_refused(rng: np.random.Generator) -> None:
    four, three = inside(drawn(rng)[:, :4]), inside(drawn(rng)[:, :3])
    with pytest.raises(ShapeError, match="same sets, queries, layers"):
        representation_similarity(four, three)
    with pytest.raises(ShapeError, match="Expected at least 4"):
        representation_similarity(three, three)
    with pytest.raises(ShapeError, match="Expected the same queries"):
        label_neighbours(four, text(np.zeros((1, 4, 4))))
