"""What an answer does without is counted in its facts, and so in every row."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from probes.cards import TextRows
from probes.cell import Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.observations.observation import Observation
from probes.observations.request import LearnerContext, Request
from tests.support.cards import dataset, model
from tests.support.letters import Letters

SETTINGS = Settings(n_sets=2, n_queries=2, n_calibration=2, long_rows="drop")
UNUSED = "1 stored tensor was left out"


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Draws its rows and answers 0."""

    needs_model: bool = False

    def observe(self, context: LearnerContext) -> Observation:
        context.text_task()
        context.text_task()
        return Observation(arrays={"predictions": np.zeros((2, 2))})


def rows_in(folder: Path, lengths: dict[str, list[int]]) -> Any:
    """Write a dataset whose texts have these numbers of letters."""
    for split, of_split in lengths.items():
        texts = [f"{split[1]}{i:02}".ljust(n, "x") for i, n in enumerate(of_split)]
        rows = [{"text": t, "label": "ab"[i % 2]} for i, t in enumerate(texts)]
        lines = [json.dumps(row) + "\n" for row in rows]
        (folder / f"{split}.jsonl").write_text("".join(lines))
    return dataset("moods", rows=TextRows(location=str(folder)))


def facts(folder: Path, context: int, left_out: str = "") -> Any:
    made = SimpleNamespace(tokenizer=Letters(), context=context, left_out=left_out)
    cache: Any = SimpleNamespace(get=lambda *_: made, n_forward=0)
    asked = Request(
        learner=Drawing(),
        model=model("letters"),
        dataset=rows_in(folder, {"train": [4] * 8 + [50] * 3, "test": [4] * 4 + [50]}),
        n_demonstrations=1,
        settings=SETTINGS,
    )
    observer = Observer(Store(folder / "store"), models=cache)
    first = observer.observe(asked).facts
    again = Observer(Store(folder / "store")).observe(asked).facts
    assert again.get("left_out") == first.get("left_out")
    return first


def test_rows_that_are_left_out_are_counted_once(tmp_path: Path) -> None:
    assert facts(tmp_path, context=80)["left_out"] == [
        "3 of 11 train rows and 1 of 5 test rows of moods have more than 40 tokens, a "
        "demonstration's share of the context, and were left out (--long-rows drop)"
    ]


def test_tensors_that_are_left_out_are_told(tmp_path: Path) -> None:
    assert facts(tmp_path, 80, UNUSED)["left_out"][0] == UNUSED


def test_nothing_is_said_where_nothing_is_left_out(tmp_path: Path) -> None:
    assert "left_out" not in facts(tmp_path, context=1000)


@pytest.mark.parametrize("change", [{"unused_tensors": "allow"}, {"n_orders": 9}])
def test_settings_on_which_no_answer_depends_are_no_part_of_the_key(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    rows = rows_in(tmp_path, {"train": [4], "test": [5]})
    asked = Request(
        learner=Drawing(),
        model=model("letters"),
        dataset=rows,
        n_demonstrations=1,
        settings=SETTINGS,
    )
    assert replace(asked, settings=replace(SETTINGS, **change)).key == asked.key
    assert replace(asked, settings=replace(SETTINGS, chat=True)).key != asked.key
