"""Open answers: declared in the description, checked row by row, drawn and shuffled."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from probes.cards import AnswerKind, DatasetCard, TextRows
from probes.cell import Settings
from probes.data.changed_labels import Labels
from probes.data.datasets import read_rows
from probes.data.label_counts import count_labels, label_count_lines
from probes.data.labelled_rows import LabelledRows
from probes.data.text_tasks import TextTask, draw_text
from probes.errors import DataError
from probes.run.grid import dataset_named

WORDS = Path(__file__).parents[2] / "fixtures" / "templates" / "words.toml"
ROWS = [{"input": f"word{i}", "output": f"words{i}"} for i in range(40)]


def card_of(
    folder: Path, rows: Sequence[Any], answers: AnswerKind = "open", **files: str
) -> DatasetCard:
    half = len(rows) // 2
    for split, part in (("train", rows[:half]), ("test", rows[half:])):
        lines = [json.dumps(row) + "\n" for row in part]
        (folder / f"{split}.jsonl").write_text("".join(lines), "utf-8")
    (folder / "dataset.toml").write_text(files.get("toml", WORDS.read_text()), "utf-8")
    source = TextRows(location=str(folder), answers=answers)
    return DatasetCard(name="plurals", family="text", summary="", rows=source)


def read(folder: Path, rows: Sequence[Any], **given: Any) -> LabelledRows:
    return read_rows(card_of(folder, rows, **given), None)


def drawn(rows: LabelledRows, labels: Labels = "gold") -> TextTask:
    sizes = Settings(n_sets=2, n_queries=3, n_calibration=2)
    return draw_text(rows, sizes, n_demonstrations=4, labels=labels)


def test_the_shipped_template_writes_a_line_for_the_input_and_one_for_the_answer(
    tmp_path: Path,
) -> None:
    task = drawn(read(tmp_path, ROWS))
    shown, (query, *_) = task.demonstrations[0], task.queries[0]
    lines = task.in_context(shown[:1], query).split("\n")
    assert len(lines) == 5
    number = lines[0].removeprefix("Input: word")
    assert lines[1:3] == [f"Output: words{number}", ""]
    assert lines[3].startswith("Input: word")
    assert lines[4] == "Output:"


def test_answers_that_occur_once_are_no_typing_errors(tmp_path: Path) -> None:
    rows = [{"input": f"a{i}", "output": f"b{min(i, 390)}"} for i in range(400)]
    assert read(tmp_path, rows).labels == ()


def test_answers_that_differ_in_capitals_are_different(tmp_path: Path) -> None:
    rows = [{"input": w, "output": o} for w, o in (("us", "US"), ("we", "us"))]
    assert {r.label for r in read(tmp_path, rows).train} == {"US"}


def test_a_row_may_list_right_answers_and_shows_the_first(tmp_path: Path) -> None:
    several = [{**row, "output": [row["output"], "x", "x", "y"]} for row in ROWS]
    task = drawn(read(tmp_path, several))
    query = task.queries[0][0]
    assert [task.answers[i] for i in query.right] == [query.answer, " x", " y"]
    assert query.answer.startswith(" words")


def test_shuffled_answers_are_those_of_other_rows(tmp_path: Path) -> None:
    rows = read(tmp_path, [{**r, "output": [r["output"], "x"]} for r in ROWS])
    gold, shuffled = drawn(rows), drawn(rows, "shuffled")
    own = [e for shown in gold.demonstrations for e in shown]
    other = [e for shown in shuffled.demonstrations for e in shown]
    assert [e.ask for e in own] == [e.ask for e in other]
    assert sum(a.answer == b.answer for a, b in zip(own, other, strict=True)) < 3
    assert {e.answer for e in other} <= {f" {row.label}" for row in rows.train}
    asked = [[(e.ask, e.answer) for e in of_set] for of_set in gold.queries]
    assert asked == [[(e.ask, e.answer) for e in of_set] for of_set in shuffled.queries]


@pytest.mark.parametrize("labels", ["flipped", "abstract"])
def test_open_answers_cannot_be_flipped_or_renamed(
    tmp_path: Path, labels: Labels
) -> None:
    wording = f"plurals has open answers, and its labels were to be {labels}"
    with pytest.raises(DataError, match=wording):
        drawn(read(tmp_path, ROWS), labels)


def test_rows_are_counted_without_naming_every_answer(tmp_path: Path) -> None:
    counts = count_labels(card_of(tmp_path, ROWS), None)
    assert counts is not None
    assert label_count_lines("plurals", counts) == [
        "Rows of plurals: train 20 (open answers 20); test 20 (open answers 20)"
    ]


REFUSED: dict[str, tuple[Any, str]] = {
    "empty": ("", r"line 1 has the answer ''\. Expected an answer without space"),
    "blank": ("  ", r"line 1 has the answer '  '\. Expected an answer without space"),
    "empty in a list": (["a", ""], r"line 1 has the answer ''\. Expected an answer"),
    "no answer": ([], r"line 1 has 0 right answers\. Expected 1 to 10"),
    "eleven": (
        [f"a{i}" for i in range(11)],
        r"train.jsonl line 1 has 11 right answers\. Expected 1 to 10\. List fewer",
    ),
    "two lines": ("a\nb", r"line 1 has the answer 'a\\nb'\. Expected a single line"),
    "object": ({"a": "b"}, r"line 1 has 'output' = \{'a': 'b'\}\. Expected text"),
    "list in a list": ([["a"]], r"line 1 has 'output' = \['a'\]\. Expected text"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_answer_that_is_none_is_refused_by_its_row(
    tmp_path: Path, case: str
) -> None:
    output, wording = REFUSED[case]
    with pytest.raises(DataError, match=wording):
        read(tmp_path, [{"input": "a", "output": output}, *ROWS])


def test_ten_right_answers_are_read(tmp_path: Path) -> None:
    ten = [f"a{i}" for i in range(10)]
    rows = read(tmp_path, [{"input": "a", "output": ten}, *ROWS])
    assert (rows.train[0].label, *rows.train[0].also_right) == tuple(ten)


@pytest.mark.parametrize(
    ("toml", "wording"),
    [
        ('answers = "opne"\n', r"has answers = 'opne'\. Expected 'labels' or 'open'"),
        ("answers = 1\n", r"has answers = 1\. Expected 'labels' or 'open', above all"),
        (
            'answers = "open"\n[verbalizer]\na = "b"\n',
            r"has a \[verbalizer\] and open answers\. .*Remove one of the two",
        ),
    ],
)
def test_a_description_with_other_answers_is_refused(
    tmp_path: Path, toml: str, wording: str
) -> None:
    with pytest.raises(DataError, match=wording):
        read(tmp_path, ROWS, toml=toml)


@pytest.mark.parametrize(
    ("card", "toml", "wording"),
    [
        ("labels", WORDS.read_text(), r"answers='labels', .* says 'open'"),
        ("open", '[columns]\nlabel = "output"\n', r"answers='open', .* says 'labels'"),
    ],
)
def test_a_card_says_what_its_description_says(
    tmp_path: Path, card: AnswerKind, toml: str, wording: str
) -> None:
    with pytest.raises(DataError, match=f"The card of 'plurals' says {wording}"):
        read(tmp_path, ROWS, answers=card, toml=toml)


def test_rows_given_by_their_folder_are_as_open_as_their_description_says(
    tmp_path: Path,
) -> None:
    card_of(tmp_path, ROWS)
    assert not dataset_named(str(tmp_path)).has_closed_labels
    (tmp_path / "dataset.toml").write_text("answers = ", "utf-8")  # its cells say so
    assert dataset_named(str(tmp_path)).has_closed_labels
