"""Changed labels: what becomes of the rows, and how changes are compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.cell import Settings
from probes.data.changed_labels import NEUTRAL_WORDS, abstracted, flipped
from probes.data.datasets import read_rows
from probes.data.labelled_rows import LabelledRows
from probes.data.text_tasks import draw_text
from probes.data.tokenization import verbalize
from probes.errors import DataError
from probes.measures import change_agreement, change_size
from probes.observations.observation import Observation
from probes.run.grid import dataset_named

SETTINGS = Settings(n_sets=4, n_queries=5, n_calibration=6)


def rows_of(name: str) -> LabelledRows:
    return read_rows(dataset_named(name), None)


def drawn(name: str, labels: Any) -> Any:
    return draw_text(rows_of(name), SETTINGS, n_demonstrations=4, labels=labels)


def spread(probabilities: Any) -> Observation:
    return Observation(
        arrays={"log_probs": np.log(np.array(probabilities, float))[None, None]}
    )


HALF, SURE, OTHER = (spread(p) for p in ([0.5, 0.5], [0.9, 0.1], [0.1, 0.9]))


def test_the_same_change_agrees_and_the_opposite_disagrees() -> None:
    assert change_agreement((HALF, SURE), (HALF, SURE)).mean == pytest.approx(1)
    assert change_agreement((HALF, SURE), (HALF, OTHER)).mean == pytest.approx(-1)
    assert change_agreement((HALF, SURE), (SURE, HALF)).mean == pytest.approx(-1)


def test_a_change_of_half_the_size_agrees_by_half() -> None:
    partly = spread([0.7, 0.3])
    pairs = (HALF, SURE), (HALF, partly)
    assert change_agreement(*pairs).mean == pytest.approx(0.5)
    assert change_agreement(*pairs[::-1]).mean == pytest.approx(0.5)


def test_no_change_agrees_with_nothing() -> None:
    assert change_agreement((HALF, SURE), (HALF, HALF)).mean == 0
    assert change_agreement((HALF, HALF), (HALF, HALF)).mean == 0


def test_the_size_of_a_change_is_the_total_variation() -> None:
    assert change_size(HALF, SURE).mean == pytest.approx(0.4)
    assert change_size(SURE, OTHER).mean == pytest.approx(0.8)


@given(st.integers(0, 2**32 - 1))
def test_agreement_is_bounded_and_symmetric(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = rng.dirichlet(np.ones(5), size=(2, 2))
    (a, b), (c, d) = ([spread(p) for p in pair] for pair in pairs)
    found = change_agreement((a, b), (c, d)).mean
    assert -1 <= found <= 1
    assert found == pytest.approx(change_agreement((c, d), (a, b)).mean)


@pytest.mark.parametrize("name", ["hmm", "opinions"])
def test_flipped_labels_are_a_fixed_permutation_without_fixed_points(name: str) -> None:
    labels = rows_of(name).labels
    found = [flipped(labels, label) for label in labels]
    assert sorted(found) == sorted(labels)
    assert all(new != old for new, old in zip(found, labels, strict=True))


@pytest.mark.parametrize("name", ["hmm", "opinions"])
def test_only_the_demonstrations_are_flipped(name: str) -> None:
    gold, changed = drawn(name, "gold"), drawn(name, "flipped")
    assert changed.queries == gold.queries
    for ours, theirs in zip(gold.demonstrations, changed.demonstrations, strict=True):
        for before, after in zip(ours, theirs, strict=True):
            assert (before.ask, before.where) == (after.ask, after.where)
            assert (before.label + 1) % len(gold.answers) == after.label


@pytest.mark.parametrize("name", ["hmm", "opinions"])
def test_abstract_labels_keep_their_meaning_and_lose_their_words(name: str) -> None:
    gold, changed = drawn(name, "gold"), drawn(name, "abstract")
    shown = [e.label for part in gold.demonstrations for e in part]
    assert [e.label for part in changed.demonstrations for e in part] == shown
    assert len(set(changed.answers)) == len(gold.answers)
    pairs = zip(gold.answers, changed.answers, strict=True)
    assert all(before != after for before, after in pairs)


def test_few_labels_get_neutral_words() -> None:
    words = abstracted(rows_of("opinions")).description.verbalizer
    assert words is not None
    assert list(words.values()) == list(NEUTRAL_WORDS[: len(words)])


def test_shuffled_labels_are_drawn_as_before_there_were_others() -> None:
    shown = drawn("hmm", "shuffled").demonstrations
    assert [e.answer for e in shown[0]] == [" s25", " s18", " s47", " s04"]


def test_abstract_words_with_the_same_tokens_are_refused() -> None:
    class OneToken:
        def __call__(self, text: list[str]) -> dict[str, list[list[int]]]:
            return {"input_ids": [[0] * len(t.split()) for t in text]}

        def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
            return ["▁x" for _ in ids]

        bos_token_id = None
        eos_token_id = None

        def __len__(self) -> int:
            return 1

        def decode(self, ids: list[int]) -> str:
            return "x" * len(ids)

    task = drawn("opinions", "abstract")
    with pytest.raises(DataError, match="foo.*bar"):
        verbalize(OneToken(), task)
