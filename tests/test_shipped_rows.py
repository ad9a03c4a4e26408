"""Written rows that ship: enough, balanced, distinct, short, and fair to their labels.

The rows themselves are checked here, not the reading of them: see ``test_rows``. What
needs a second reader or a classifier is stated in the README beside the rows.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from statistics import mean

import numpy as np
import pytest

import fixtures.datasets  # noqa: F401  registers the datasets
from probes.grid import DATASETS
from probes.rows import LabelledRows, Row, read_rows

WRITTEN = ("opinions", "headlines", "inferences")
CELL_ROWS = 128  # 24 calibration rows, 10 sets of 8 demonstrations, and some to spare
LONGEST = {"opinions": 30, "headlines": 35, "inferences": 30}  # words in one row
RUN = 5  # words in a row; two texts seldom share as many unless one was copied
ALIKE = 0.5  # rows that share half of their words say the same thing
NEGATION = re.compile(r"\b(?:not|no|never|nobody|nothing|none)\b|n't", re.IGNORECASE)


@cache
def written(name: str) -> LabelledRows:
    return read_rows(DATASETS.get(name), None)


def rows(name: str) -> list[Row]:
    return [*written(name).train, *written(name).test]


def words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def written_rows() -> list[Row]:
    return [row for name in WRITTEN for row in rows(name)]


def bag(row: Row) -> set[str]:
    return set(words(" ".join(row.fields.values())))


def hypotheses(label: str) -> list[str]:
    return [r.fields["text_pair"] for r in rows("inferences") if r.label == label]


def overlap(row: Row) -> float:
    """Share of the hypothesis's words that its premise has too."""
    ours = set(words(row.fields["text_pair"]))
    return len(ours & set(words(row.fields["text"]))) / len(ours)


def runs(row: Row) -> set[tuple[str, ...]]:
    """Every run of words in a row; a premise may quote its own hypothesis."""
    fields = [words(text) for text in row.fields.values()]
    return {tuple(f[i : i + RUN]) for f in fields for i in range(len(f) - RUN + 1)}


@pytest.mark.parametrize("name", WRITTEN)
def test_each_split_fills_a_cell_and_is_balanced(name: str) -> None:
    for split in (written(name).train, written(name).test):
        counts = Counter(row.label for row in split)
        assert len(split) >= CELL_ROWS
        assert set(counts) == set(written(name).labels)
        assert len(set(counts.values())) == 1


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("opinions", ["bad", "good"]),
        ("headlines", ["Business", "Sports", "Technology", "World"]),
        ("inferences", ["False", "Neither", "True"]),
    ],
)
def test_every_label_has_a_word_of_its_own(name: str, labels: list[str]) -> None:
    data = written(name)
    assert sorted(map(data.description.word_for, data.labels)) == labels


def test_no_two_rows_share_a_run_of_five_words() -> None:
    shared = Counter(run for row in written_rows() for run in runs(row))
    assert [run for run, count in shared.items() if count > 1] == []


def test_no_two_rows_share_half_of_their_words() -> None:
    bags = [bag(row) for row in written_rows()]
    place = {word: i for i, word in enumerate(sorted(set().union(*bags)))}
    holds = np.zeros((len(bags), len(place)), dtype=np.float32)  # (n_rows, n_words)
    for i, found in enumerate(bags):
        holds[i, [place[word] for word in found]] = 1
    shared, sizes = holds @ holds.T, holds.sum(axis=1)  # (n_rows, n_rows), (n_rows,)
    alike = np.triu(shared >= ALIKE * (sizes[:, None] + sizes - shared), k=1)
    assert np.argwhere(alike).tolist() == []


def test_no_text_occurs_twice() -> None:
    repeated = Counter(text for row in written_rows() for text in row.fields.values())
    assert [text for text, count in repeated.items() if count > 1] == []


@pytest.mark.parametrize("name", WRITTEN)
def test_rows_are_short_enough_for_eight_demonstrations(name: str) -> None:
    lengths = [len(" ".join(row.fields.values()).split()) for row in rows(name)]
    assert max(lengths) <= LONGEST[name]
    assert mean(lengths) <= 0.75 * LONGEST[name]  # so that eight seldom meet the worst


def test_hypotheses_of_every_label_are_as_long_and_as_often_negated() -> None:
    labels = written("inferences").labels
    lengths = [mean(len(h.split()) for h in hypotheses(label)) for label in labels]
    negated = [sum(map(bool, map(NEGATION.search, hypotheses(x)))) for x in labels]
    assert max(lengths) - min(lengths) < 0.1  # words
    assert len(set(negated)) == 1


def test_the_overlap_of_hypothesis_and_premise_tells_little_of_the_label() -> None:
    shares = [
        mean(overlap(row) for row in rows("inferences") if row.label == label)
        for label in written("inferences").labels
    ]
    assert max(shares) - min(shares) < 0.1  # half a word of a hypothesis of five
