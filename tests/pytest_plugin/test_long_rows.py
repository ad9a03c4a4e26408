"""Rows that are too long for the context are left out if asked for, and counted."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest

from tests.support.running import Ran, run

ONE_CLAIM = "claims/test_output.py::test_same_accuracy"
N_LONG, N_SHORT = 4, 116
SMALL = ("--sets", "4", "--queries", "6", "--calibration", "6")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write rows of which each thirtieth is longer than any context."""
    path = tmp_path_factory.mktemp("rows") / "letters.jsonl"
    words = [" indeed" * (1500 if i % 30 == 0 else 2) for i in range(N_LONG + N_SHORT)]
    lines = [
        {"text": f"{i}{more}", "label": "bad" if i % 2 else "good"}
        for i, more in enumerate(words)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def judged(folder: Path, rows: Path, *more: str) -> Ran:
    small = (*SMALL, "--models", "untrained_llama", "--demos", "2")
    return run(folder, ONE_CLAIM, *small, "--datasets", str(rows), *more)


def test_rows_that_are_dropped_are_counted_in_every_report(
    rows: Path, tmp_path: Path
) -> None:
    found = judged(tmp_path, rows, "--long-rows", "drop")
    (said,) = found.run["left_out"]
    assert f"of {N_LONG + N_SHORT}" not in said  # the file is halved
    counts = [int(word) for word in said.split() if word.isdecimal()]
    assert counts[0] + counts[2] == N_LONG
    assert counts[1] + counts[3] == N_LONG + N_SHORT
    assert "and were left out (--long-rows drop)." in said
    assert said in " ".join(found.text.split())
    for name in ("index.html", "matrix.md"):
        drawn = html.unescape((found.reports / name).read_text("utf-8"))
        assert said in drawn.replace("\\", "")
    assert all(said.removesuffix(".") in row["note"] for row in found.rows)
