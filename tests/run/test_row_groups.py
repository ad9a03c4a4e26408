"""Which groups a cell has, and how the run and its rows say so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from probes.cards import DatasetCard, TextRows
from probes.cell import Cell, Settings
from probes.data.datasets import read_rows
from probes.data.text_tasks import draw_text
from probes.errors import OptionError
from probes.results.reading import read_results
from probes.run.grid import DATASETS
from probes.run.row_groups import population_of, row_groups
from probes.verdicts.group_means import RowGroups
from tests.support.cards import dataset, model
from tests.support.running import run


def cell(card: DatasetCard, **settings: Any) -> Cell:
    return Cell(
        model=model("m"),
        dataset=card,
        n_demonstrations=2,
        settings=Settings(**settings),
    )


def rows_in(folder: Path, groups: str) -> DatasetCard:
    """Write rows whose groups have one letter each."""
    folder.mkdir()
    for split in ("train", "test"):
        lines = [
            {"text": f"{split} {group} {i}", "label": "ab"[i % 2], "group": group}
            for group in groups
            for i in range(12)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{split}.jsonl").write_text(text)
    return dataset("d", rows=TextRows(location=str(folder)))


def test_a_cell_counts_the_groups_of_its_rows(tmp_path: Path) -> None:
    card = rows_in(tmp_path / "rows", "xyz")
    found = row_groups(cell(card), "new groups")
    assert found == RowGroups(n_groups=3, speaks_of="new groups")


def test_rows_of_one_group_have_none(tmp_path: Path) -> None:
    assert row_groups(cell(rows_in(tmp_path / "rows", "x")), "these groups") is None


def test_regression_tasks_have_no_groups() -> None:
    assert row_groups(cell(DATASETS.get("linear")), "these groups") is None


def test_rows_that_cannot_be_read_are_left_to_the_cell_to_report() -> None:
    missing = dataset("d", rows=TextRows(location="/nowhere/at/all"))
    assert row_groups(cell(missing), "these groups") is None


def test_groups_are_unknown_where_long_rows_are_dropped(tmp_path: Path) -> None:
    card = rows_in(tmp_path / "rows", "xyz")
    assert row_groups(cell(card, long_rows="drop"), "these groups") is None
    with pytest.raises(OptionError, match="Leave out one of the two"):
        population_of(SimpleNamespace(new_groups=True, long_rows="drop"))


def test_set_i_is_drawn_from_group_i_modulo_their_number(tmp_path: Path) -> None:
    card = rows_in(tmp_path / "rows", "zxy")
    settings = Settings(n_sets=7, n_queries=4, n_calibration=2)
    task = draw_text(read_rows(card, None), settings, n_demonstrations=2)
    found = row_groups(replace(cell(card), settings=settings), "these groups")
    assert found is not None
    letters = [
        {example.ask.split()[2] for example in (*shown, *asked)}
        for shown, asked in zip(task.demonstrations, task.queries, strict=True)
    ]
    assert letters == [{"xyz"[i % found.n_groups]} for i in range(7)]


def test_a_run_about_new_groups_says_so_and_counts_groups(tmp_path: Path) -> None:
    claim = "claims/test_weights.py::test_robust_to_weight_change"
    sizes = ("--demos", "4", "--sets", "10", "--queries", "30", "--new-groups")
    found = run(tmp_path, claim, "--models", "hmm_llama", "--datasets", "hmm", *sizes)
    (row,) = read_results(found.reports / "results.jsonl")
    assert row["effects"][0]["n_sets"] == 8
    assert row["population"]["speaks_of"] == "new groups"
    assert row["population"]["other"]["speaks_of"] == "these groups"
    assert "holds for new groups of rows like these 8" in row["note"]
    assert row["provenance"]["options"]["--new-groups"] == ""
    assert found.run["record"] is None  # which speaks of these groups
