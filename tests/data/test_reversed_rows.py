"""Facts asked in reverse: which prompt, which answers, and where it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from probes.cell import Settings
from probes.data.datasets import read_rows
from probes.data.reversed_rows import reversed_rows
from probes.data.template import Description, Row
from probes.data.text_tasks import TextTask, draw_text
from probes.errors import DataError
from probes.learners import InContext
from probes.observations.request import Request
from probes.run.grid import dataset_named
from tests.support.tiny_models import HMM

SIZES = Settings(n_sets=2, n_queries=5, n_calibration=6)


def drawn(name: str, **view: Any) -> TextTask:
    rows = read_rows(dataset_named(name), None)
    return draw_text(rows, SIZES, n_demonstrations=6, **view)


def test_the_direct_form_asks_the_demonstrations_themselves() -> None:
    task = drawn("nonce_capitals", queries="demonstrated")
    assert task.queries == task.demonstrations
    for mine, own in zip(
        task.queries[0], drawn("nonce_capitals").demonstrations[0], strict=True
    ):
        assert (mine.ask, mine.answer) == (own.ask, own.answer)


@pytest.mark.parametrize(
    ("name", "direct", "asked"),
    [
        ("nonce_capitals", "{} is the capital of {}", "The capital of {1} is {0}"),
        ("singular_plural", "Input: {}\nOutput: {}", "Output: {1}\nInput: {0}"),
    ],
)
def test_the_reverse_asks_for_the_input(name: str, direct: str, asked: str) -> None:
    task = drawn(name, queries="reversed")
    own = drawn(name)
    assert task.demonstrations != task.queries
    for shown, queries, known in zip(
        task.demonstrations, task.queries, own.demonstrations, strict=True
    ):
        for one, query, before in zip(shown, queries, known, strict=True):
            assert (one.ask, one.answer) == (before.ask, before.answer)
            end = "\n" if "\n" in direct else " is"
            given = one.ask.removeprefix("Input: ").split(end)[0]
            answer = one.answer.strip()
            assert one.ask + one.answer == direct.format(given, answer)
            assert query.ask + query.answer == asked.format(given, answer)
            assert task.answers[query.label] == query.answer


FACTS = [
    Row(fields={"input": "girl"}, label="boy"),
    Row(fields={"input": "lass"}, label="boy"),
    Row(fields={"input": "king"}, label="queen", also_right=("queens",)),
]


def test_inputs_with_an_answer_in_common_are_all_right() -> None:
    described = Description(query="{input}:", label_column="output", answers="open")
    first, second, third = reversed_rows(FACTS, described)
    assert first.fields == {"output": "boy"}
    assert (first.label, first.also_right) == ("girl", ("lass",))
    assert (second.label, second.also_right) == ("lass", ("girl",))
    assert (third.label, third.also_right) == ("king", ())


@pytest.mark.parametrize("name", ["hmm", "inferences", "nonce_categories"])
def test_closed_labels_cannot_be_reversed(name: str) -> None:
    assert not dataset_named(name).can_be_reversed
    with pytest.raises(DataError, match="cannot be asked in reverse"):
        drawn(name, queries="reversed")


TOML = """
answers = "open"
[template]
query = "QUERY"
reversed = "{label} <-"
"""


@pytest.mark.parametrize(
    ("query", "works"), [("{text} ->", True), ("{text} {more} ->", False)]
)
def test_a_file_of_rows_says_how_it_is_asked_in_reverse(
    tmp_path: Path, query: str, works: bool
) -> None:
    rows = [{"text": f"a{i}", "more": "m", "label": f"b{i}"} for i in range(60)]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "mine.toml").write_text(TOML.replace("QUERY", query))
    name = str(tmp_path / "mine.jsonl")
    assert dataset_named(name).can_be_reversed
    if works:
        query_0 = drawn(name, queries="reversed").queries[0][0]
        assert (query_0.ask, query_0.answer) == (
            f"{query_0.ask.split()[0]} <-",
            f" a{query_0.ask.split()[0][1:]}",
        )
    else:
        with pytest.raises(DataError, match="a query with a single column"):
            drawn(name, queries="reversed")


@pytest.mark.parametrize("queries", ["demonstrated", "reversed"])
def test_settings_are_chosen_on_the_direct_form(queries: Any) -> None:
    request = Request(
        learner=InContext(),
        model=HMM,
        dataset=dataset_named("nonce_capitals"),
        n_demonstrations=4,
        settings=SIZES,
        queries=queries,
    )
    assert request.of_choice(InContext()).queries == "demonstrated"
    assert "calibration" not in request.of_choice(InContext()).queries
