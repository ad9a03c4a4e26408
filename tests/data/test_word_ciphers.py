"""Ciphers: which words become others, and where they stay the same."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import numpy as np
import pytest

from probes.cell import Settings
from probes.data.datasets import read_rows
from probes.data.template import Row
from probes.data.text_tasks import draw_text
from probes.data.word_ciphers import BLOCK, WORD, WordCipher, words_by_frequency
from probes.run.grid import dataset_named

SIZES = Settings(n_sets=5, n_queries=5, n_calibration=6)
WORDS = [f"w{i}" for i in range(100)]


def drawn(name: str, wording: Any = "own", **changes: Any) -> Any:
    rows = read_rows(dataset_named(name), None)
    return draw_text(rows, SIZES, n_demonstrations=8, wording=wording, **changes)


def pairs(before: Any, after: Any) -> list[tuple[str, str]]:
    """Pair the words of texts with those that stand in their places."""
    examples = zip(chain(*before), chain(*after), strict=True)
    words = [(WORD.findall(a.ask), WORD.findall(b.ask)) for a, b in examples]
    return [pair for old, new in words for pair in zip(old, new, strict=True)]


def test_the_key_is_a_permutation_of_half_the_words_within_blocks() -> None:
    cipher = WordCipher.draw(WORDS, np.random.default_rng(0))
    assert len(cipher.key) == 50
    assert set(cipher.key) == set(cipher.key.values())
    for word, other in cipher.key.items():
        assert other in cipher.block[word]
        assert len(cipher.block[word]) == BLOCK


def test_blocks_are_of_words_that_are_about_as_frequent() -> None:
    cipher = WordCipher.draw(WORDS, np.random.default_rng(0))
    ranks = [abs(WORDS.index(a) - WORDS.index(b)) for a, b in cipher.key.items()]
    assert max(ranks) < 4 * BLOCK
    rows = [
        Row(fields={"text": "a b a"}, label="x"),
        Row(fields={"text": "b. a"}, label="x"),
    ]
    assert words_by_frequency(rows) == ["a", "b"]


@pytest.mark.parametrize("name", ["hmm", "headlines"])
def test_one_to_one_is_one_substitution_in_each_set(name: str) -> None:
    own, other = drawn(name), drawn(name, "one_to_one")
    for index in range(SIZES.n_sets):
        words = pairs(
            [own.demonstrations[index], own.queries[index]],
            [other.demonstrations[index], other.queries[index]],
        )
        assert (
            len(set(words)) == len({a for a, _ in words}) == len({b for _, b in words})
        )
        changed = np.mean([a != b for a, b in words])
        assert 0.1 < changed < 0.9


@pytest.mark.parametrize("name", ["hmm", "headlines"])
def test_the_control_has_the_same_queries_and_no_key(name: str) -> None:
    key, none = drawn(name, "one_to_one"), drawn(name, "not_one_to_one")
    assert key.queries == none.queries
    own = drawn(name)
    becomes: dict[str, set[str]] = {}
    for a, b in pairs(own.demonstrations[:1], none.demonstrations[:1]):
        becomes.setdefault(a, set()).add(b)
    n_times = Counter(
        a for a, _ in pairs(own.demonstrations[:1], own.demonstrations[:1])
    )
    often = [word for word, n in n_times.items() if n > 2]
    if name == "headlines":  # words of hmm seldom occur three times in eight texts
        assert any(len(becomes[word]) > 1 for word in often)
    substituted = {
        a for a, b in pairs(own.demonstrations, none.demonstrations) if a != b
    }
    assert substituted


def test_drawn_anew_a_word_becomes_each_of_its_block_alike() -> None:
    rng = np.random.default_rng(0)
    cipher = WordCipher.draw(WORDS, rng)
    word = next(iter(cipher.key))
    row = Row(fields={"text": " ".join([word] * 4000)}, label="x")
    counts = Counter(cipher.drawn_anew(row, rng).fields["text"].split())
    assert set(counts) == set(cipher.block[word])
    assert max(abs(n - 400) for n in counts.values()) < 100  # five standard errors


def test_only_words_change() -> None:
    cipher = WordCipher(key={"pipes": "rain", "Don't": "Salt"}, block={})
    row = Row(fields={"text": "Don't fix pipes."}, label="x", group="g", where="here")
    assert cipher.one_to_one(row) == Row(
        fields={"text": "Salt fix rain."}, label="x", group="g", where="here"
    )


def test_labels_and_answers_stay() -> None:
    own, other = drawn("hmm"), drawn("hmm", "not_one_to_one")
    for before, after in zip(
        chain(*own.demonstrations), chain(*other.demonstrations), strict=True
    ):
        assert (before.label, before.answer) == (after.label, after.answer)


def test_other_draws_and_sets_have_other_ciphers() -> None:
    def key(task: Any, index: int) -> dict[str, str]:
        return dict(pairs([own.queries[index]], [task.queries[index]]))

    own = drawn("headlines")
    assert own.queries[0] == own.queries[1]
    first, second = (
        drawn("headlines", "one_to_one"),
        drawn("headlines", "one_to_one", draw=1),
    )
    assert key(first, 0) != key(first, 1)
    assert key(first, 0) != key(second, 0)
