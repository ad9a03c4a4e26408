"""Rows with hostile texts survive the way to the file and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probes.record import read_rows_of
from probes.report.summary import MOST_LETTERS, short_summary
from probes.results import write_rows
from tests.test_report import HOSTILE, hostile_row, hostile_run


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_row_is_one_line_that_reads_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    rows = [hostile_row(HOSTILE[name]), hostile_row("tame")]
    write_rows(rows, path)
    assert path.read_bytes().count(b"\n") == 2
    shown = HOSTILE[name].encode("utf-8", "replace").decode()
    assert [row["sentence"] for row in read_rows_of(path)] == [shown, "tame"]
    assert json.loads(path.read_text("utf-8").split("\n")[0])["effects"][0]["name"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_summary_fits_a_comment_whatever_the_texts(name: str) -> None:
    rows = [hostile_row(f"{HOSTILE[name]} {i}") for i in range(900)]
    text = short_summary(rows, hostile_run(HOSTILE[name], rows))
    assert len(text) <= MOST_LETTERS + 1
    assert "and 890 more" in text
    assert "<script" not in text


def test_a_summary_tells_what_is_unexpected_before_it_counts() -> None:
    rows = [hostile_row("tame")]
    text = short_summary(rows, hostile_run("tame", rows))
    assert text.index("1 unexpected cell") < text.index("1 cell on 1 model")
