"""Unrelated text: what is exchanged, what is left, and what it is the floor of."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest

from probes.cell import Settings
from probes.data.datasets import read_rows
from probes.data.template import Row
from probes.data.text_tasks import Example, draw_text
from probes.data.unrelated_text import with_unrelated_words, words_of
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import Activations, GradientLearner, InContext
from probes.learners.search_effort import SearchEffort
from probes.measures import attention_rank_correlation, update_cosine
from probes.observations.observation import Observation
from probes.run.grid import dataset_named
from tests.support.tiny_models import ask

SIZES = Settings(n_sets=5, n_queries=5, n_calibration=6)
CHOOSY = GradientLearner(effort=SearchEffort(n_sets=2, passes=4, total=32))


def drawn(name: str, **view: Any) -> Any:
    rows = read_rows(dataset_named(name), None)
    return draw_text(rows, SIZES, n_demonstrations=8, **view)


def shown(task: Any) -> list[Example]:
    return list(chain.from_iterable(task.demonstrations))


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(Store(tmp_path_factory.mktemp("store")))


@pytest.mark.parametrize("name", ["hmm", "headlines", "inferences"])
def test_unrelated_text_keeps_labels_lengths_and_queries(name: str) -> None:
    own, other = drawn(name), drawn(name, wording="unrelated")
    assert other.queries == own.queries
    for before, after in zip(shown(own), shown(other), strict=True):
        assert (after.answer, after.label) == (before.answer, before.label)
        assert after.where == before.where
        assert len(after.ask.split()) == len(before.ask.split())


@pytest.mark.parametrize("name", ["hmm", "headlines", "inferences"])
def test_unrelated_text_keeps_no_word_but_by_chance(name: str) -> None:
    rows = read_rows(dataset_named(name), None)
    words = words_of(rows.train)
    other = with_unrelated_words(rows.train, words, seed=0)
    kept: dict[str, list[bool]] = {column: [] for column in words}
    for row, exchanged in zip(rows.train, other, strict=True):
        for column, text in row.fields.items():
            pairs = zip(text.split(), exchanged.fields[column].split(), strict=True)
            kept[column] += [before == after for before, after in pairs]
    for column, known in words.items():
        _, counts = np.unique(known, return_counts=True)
        by_chance = float(((counts / len(known)) ** 2).sum())
        spread = (by_chance * (1 - by_chance) / len(known)) ** 0.5
        assert abs(np.mean(kept[column]) - by_chance) <= 5 * spread + 1e-12


def test_every_set_and_draw_has_words_of_its_own() -> None:
    views = ({}, {"wording": "unrelated"}, {"wording": "unrelated", "draw": 1})
    tasks = [drawn("hmm", **view) for view in views]
    asks = {tuple(e.ask for e in one) for task in tasks for one in task.demonstrations}
    assert len(asks) == 3 * SIZES.n_sets
    assert drawn("hmm", wording="unrelated") == tasks[1]


def test_rows_of_one_text_get_different_words_from_all_rows() -> None:
    rows = [Row(fields={"text": f"the  {word}\tfell"}, label="up") for word in "abcd"]
    one, same = with_unrelated_words([rows[0]] * 2, words_of(rows), seed=1)
    assert one.fields != same.fields
    assert set(one.fields["text"].split()) <= {"the", "fell", *"abcd"}
    assert "  " in one.fields["text"]  # spaces stay where they were
    assert with_unrelated_words([rows[0]] * 2, words_of(rows), seed=1) == (one, same)


def test_rate_and_passes_are_those_chosen_for_the_rows_own_words(
    observer: Observer,
) -> None:
    own = observer.observe(ask(CHOOSY))
    before = len(observer.measured)
    other = observer.observe(ask(CHOOSY, wording="unrelated"))
    assert len(observer.measured) == before + 1  # nothing was chosen again
    said = [(o.facts["rate"], o.facts["passes"]) for o in (own, other)]
    assert said[0] == said[1]
    np.testing.assert_array_equal(other.gold, own.gold)
    assert np.abs(other["log_probs"] - own["log_probs"]).max() > 1e-3


def test_what_is_chosen_is_chosen_on_the_rows_as_they_are() -> None:
    asked: list[Any] = []

    class Noting(Observer):
        def observe(self, request: Any) -> Observation:
            asked.append(request)
            return Observation(arrays={}, facts={"loss": {"rate": 0.1}})

    view = {"labels": "shuffled", "wording": "unrelated", "order": 2, "draw": 1}
    context = Noting.__new__(Noting).context(ask(InContext(), **view))
    assert CHOOSY.settings_in(context) == {"rate": 0.1}
    assert asked == [ask(CHOOSY.choice, queries="calibration")]


def test_what_unrelated_text_does_inside_is_compared_query_by_query(
    observer: Observer,
) -> None:
    icl, base, own, other = (
        observer.observe(ask(Activations(of=learner), **view))
        for learner, view in (
            (InContext(), {}),
            (GradientLearner(rate=0.0, passes=1), {}),
            (CHOOSY, {}),
            (CHOOSY, {"wording": "unrelated"}),
        )
    )
    ours, floor = (update_cosine(icl, arm, base) for arm in (own, other))
    assert ours.values.shape == floor.values.shape
    assert not np.allclose(ours.values, floor.values, atol=1e-3)
    ranks = attention_rank_correlation(icl, other)
    assert ranks.values.shape == floor.values.shape
