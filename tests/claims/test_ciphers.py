"""The claim on ciphers tells a learner that learns from one that recalls."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from probes_fixtures.ciphers import cipher_can_be_learned, shared_words

import claims.test_ciphers as claimed
from probes.cell import Cell, Settings
from probes.data.text_tasks import Example, TextTask
from probes.data.word_ciphers import WORD
from probes.learners import InContext
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Undecided

SIZES = Settings(n_sets=20, n_queries=40)
N_LABELS = 3


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Cell:
    """Rows in which every label has eight words of its own, three in a text."""
    folder, rng = tmp_path_factory.mktemp("rows"), np.random.default_rng(0)
    for split, n in (("train", 400), ("test", 60)):
        lines = []
        for index in range(n):
            label = index % N_LABELS
            words = [f"{'abc'[label]}{k}" for k in rng.permutation(8)[:3]]
            text = " ".join([*words, f"no{split}{index}"])  # no text recurs
            lines.append(json.dumps({"text": text, "label": f"label{label}"}))
        Path(folder / f"{split}.jsonl").write_text("\n".join(lines))
    return Cell(
        model=model_named("text_llama"),
        dataset=dataset_named(str(folder)),
        n_demonstrations=12,
        settings=SIZES,
    )


def task_of(cell: Cell, wording: str) -> TextTask:
    request = Request.of(cell, InContext(), wording=wording)
    return request.text_task(lambda rows: rows)


def answered(task: TextTask, weigh: Any) -> Observation:
    """Answer with probabilities that are proportional to a learner's weights."""
    log_probs, gold = [], []
    for shown, queries in zip(task.demonstrations, task.queries, strict=True):
        weights = np.array([weigh(shown, query) for query in queries], dtype=float)
        log_probs.append(np.log(weights / weights.sum(axis=1, keepdims=True)))
        gold.append([query.label for query in queries])
    return Observation(
        arrays={"log_probs": np.array(log_probs), "gold": np.array(gold)},
        facts={"label_tokens": list(range(N_LABELS))},
    )


def learns(shown: tuple[Example, ...], query: Example) -> list[float]:
    """Count the labels of demonstrations by the words that they share with a query."""
    words = Counter(WORD.findall(query.ask))
    weights = [0.2] * N_LABELS
    for one in shown:
        weights[one.label] += sum(words[word] for word in WORD.findall(one.ask)) - 2
    return [max(weight, 0.1) for weight in weights]  # "Input" and "Label" are shared


def recalls(shown: tuple[Example, ...], query: Example) -> list[float]:
    """Know the words of each label by heart; read no demonstration."""
    initials = Counter(word[0] for word in WORD.findall(query.ask))
    return [0.2 + initials["abc"[label]] for label in range(N_LABELS)]


def verdict(cell: Cell, weigh: Any, key: str = "one_to_one") -> str:
    claim: Any = claimed.test_cipher
    judge = Judge(claim.claim, cell)
    pair = tuple(answered(task_of(cell, w), weigh) for w in (key, "not_one_to_one"))
    claim(answered(task_of(cell, "own"), weigh), pair, pair, pair, judge)
    assert judge.judgement is not None
    return judge.judgement.verdict


def test_a_learner_of_words_is_supported(cell: Cell) -> None:
    assert verdict(cell, learns) == "supported"


def test_a_learner_that_recalls_is_refuted(cell: Cell) -> None:
    assert verdict(cell, recalls) == "refuted"


def test_a_learner_of_words_without_a_key_is_refuted(cell: Cell) -> None:
    """The same learner, if the first substitution is spoiled as the second is."""
    assert verdict(cell, learns, key="not_one_to_one") == "refuted"


def dismissal(cell: Cell) -> Any:
    check: Any = cipher_can_be_learned.__wrapped__  # type: ignore[attr-defined]
    judge = Judge(claimed.test_cipher.claim, cell)  # type: ignore[attr-defined]
    return lambda: check(cell, None, judge)


def test_a_task_whose_words_recur_is_judged(cell: Cell) -> None:
    dismissal(cell)()


def test_a_task_of_single_words_is_dismissed() -> None:
    nonce = Cell(
        model=model_named("text_llama"),
        dataset=dataset_named("nonce_categories"),
        n_demonstrations=4,
        settings=Settings(n_sets=4, n_queries=10),
    )
    with pytest.raises(Undecided, match="only 0% of the queries hold a substituted"):
        dismissal(nonce)()


def test_shared_words_are_those_that_are_substituted_on_both_sides() -> None:
    def task(shown: str, asked: str) -> TextTask:
        described: Any = None
        one, other = (
            (Example(ask=text, answer="", label=0, where=""),)
            for text in (shown, asked)
        )
        return TextTask(
            demonstrations=(one,), queries=(other,), answers=(), description=described
        )

    own = task("a b", "b c")
    assert shared_words(own, task("x y", "y c")).mean == 1
    assert shared_words(own, task("x b", "b c")).mean == 0
    assert shared_words(own, task("a b", "b z")).mean == 0
