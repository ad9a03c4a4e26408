"""Too few rows are told before anything is measured, in a run and in a plan."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from probes.cards import TextRows
from probes.cell import Settings
from probes.run.grid import Grid
from probes.run.row_supply import shortage_lines
from tests.support.cards import dataset, model, network
from tests.support.running import run

SIZES = Settings(n_sets=2, n_queries=3, n_calibration=2)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Write twenty rows, of which ten are train rows."""
    path = tmp_path / "moods.jsonl"
    texts = [{"text": f"Day {i}.", "label": "ab"[i % 2]} for i in range(20)]
    path.write_text("".join(json.dumps(row) + "\n" for row in texts))
    return path


def grid_on(path: Path, *numbers: int) -> Grid:
    card = dataset("moods", rows=TextRows(location=str(path)))
    return Grid(
        models=(model("m"),), datasets=(card,), demonstrations=numbers, settings=SIZES
    )


def test_the_numbers_of_demonstrations_that_lack_rows_are_named(rows: Path) -> None:
    (line,) = shortage_lines(grid_on(rows, 8, 4, 5))
    assert line.startswith(
        "Warning: cells of moods with 5, 8 demonstrations will be errors. moods has 10 "
        "train rows, and the cell needs 12 (2 sets × 5 demonstrations + 2 calibration"
    )
    assert shortage_lines(grid_on(rows, 4)) == []


def test_only_rows_on_disk_that_a_model_reads_are_counted(rows: Path) -> None:
    grid = grid_on(rows, 8)
    assert shortage_lines(replace(grid, models=(network("n"),))) == []
    assert shortage_lines(grid_on(rows.with_name("none.jsonl"), 8)) == []
    elsewhere = dataset("far", rows=TextRows(location="far", hub="org/far"))
    assert shortage_lines(replace(grid, datasets=(elsewhere,))) == []


@pytest.mark.parametrize("plan", [(), ("--plan",)])
def test_a_run_warns_before_it_measures(
    plan: tuple[str, ...], rows: Path, tmp_path: Path
) -> None:
    few = ("--models", "untrained_llama", "--datasets", str(rows), "--demos", "8")
    sizes = ("--sets", "2", "--queries", "3", "--calibration", "2", "-k", "same_update")
    ran = run(tmp_path, "claims/test_updates.py", *few, *sizes, *plan)
    warning = "cells of moods with 8 demonstrations will be errors. moods has 10 train"
    assert ran.text.count(warning) == 1
    assert plan or ran.text.index(warning) < ran.text.index("test_updates.py")
