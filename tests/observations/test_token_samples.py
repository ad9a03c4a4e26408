"""Nested samples: half as many tokens at each level, other ones at every place."""

from __future__ import annotations

import numpy as np
import pytest

from probes.observations.token_samples import (
    SMALLEST,
    last_level,
    levels,
    smallest_sample,
)

N_VOCAB = 49_152


@pytest.mark.parametrize("n_vocab", [8193, N_VOCAB, 262_144])
def test_smallest_sample_is_as_large_as_it_says(n_vocab: int) -> None:
    sizes = [len(smallest_sample(n_vocab, place)) for place in range(20)]
    assert SMALLEST <= n_vocab / (1 << last_level(n_vocab)) < 2 * SMALLEST
    assert np.mean(sizes) == pytest.approx(n_vocab >> last_level(n_vocab), rel=0.05)


def test_each_level_halves_the_sample() -> None:
    found = levels(np.arange(N_VOCAB), N_VOCAB, 3)
    for level in range(last_level(N_VOCAB) + 1):
        n, wanted = int((found >= level).sum()), N_VOCAB / 2**level
        assert abs(n - wanted) <= 4 * np.sqrt(wanted)


def test_levels_of_a_token_do_not_depend_on_its_company() -> None:
    every = levels(np.arange(N_VOCAB), N_VOCAB, 7)
    some = np.array([5, 4000, 49_000])
    np.testing.assert_array_equal(levels(some, N_VOCAB, 7), every[some])


@pytest.mark.parametrize("other", [1, 1 << 16, (9 << 16) + 39])
def test_samples_of_two_places_are_independent(other: int) -> None:
    ours, theirs = (levels(np.arange(N_VOCAB), N_VOCAB, p) > 0 for p in (0, other))
    both = (ours & theirs).mean()
    assert both == pytest.approx(ours.mean() * theirs.mean(), abs=0.01)
