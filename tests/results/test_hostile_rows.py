"""Rows with hostile texts survive the way to the file and back."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from probes.cell import Settings
from probes.claims import ClaimCard
from probes.cli.main import main
from probes.errors import OptionError
from probes.report.short_summary import MOST_LETTERS, short_summary
from probes.results.reading import read_results
from probes.results.record import Record
from probes.results.rows import write_rows
from probes.run.catalogue_page import catalogue_page
from tests.support.rows import HOSTILE, effect, hostile_row, hostile_run

STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_row_is_one_line_that_reads_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    rows = [hostile_row(HOSTILE[name]), hostile_row("tame")]
    write_rows(rows, path)
    assert path.read_bytes().count(b"\n") == 2
    shown = HOSTILE[name].encode("utf-8", "replace").decode()
    assert [row["sentence"] for row in read_results(path)] == [shown, "tame"]
    assert json.loads(path.read_text("utf-8").split("\n")[0])["effects"][0]["name"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_summary_fits_a_comment_whatever_the_texts(name: str) -> None:
    rows = [hostile_row(f"{HOSTILE[name]} {i}") for i in range(900)]
    text = short_summary(rows, hostile_run(HOSTILE[name], rows))
    assert len(text) <= MOST_LETTERS + 1
    assert "and 890 more" in text
    assert "<script" not in text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_comparison_prints_hostile_cells_without_steering_the_terminal(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, empty = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    write_rows([hostile_row(HOSTILE[name]) | {"alone": "supported"}], path)
    write_rows([hostile_row("tame")], empty)
    assert main(["compare", str(path), str(empty)]) == 1
    said = capsys.readouterr().out
    said.encode("utf-8")
    assert not STEERING.search(said.replace("\n", ""))
    *_, differing = lines = said.splitlines()
    assert len(lines) == 4
    assert differing.startswith("the runs differ in: ")
    assert len(said) < 10_000


@pytest.mark.parametrize("name", HOSTILE)
def test_the_catalogue_keeps_its_tables_whatever_a_run_says(name: str) -> None:
    text = HOSTILE[name]
    rows = [hostile_row(text) | {"claim": "same_answer", "model": text}]
    rows[0] |= {"verdict": "refuted", "alone": "refuted"}
    rows.append(rows[0] | {"effects": [effect(name=text, unit=text, value=None)]})
    card = ClaimCard(name="same_answer", sentence=text, source=text, on="text")
    page = catalogue_page([card], rows)
    page.encode("utf-8")
    assert not STEERING.search(page.replace("\n", ""))
    lines = [line for line in page.split("\n") if line.startswith("|")]
    bars = [len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines]
    assert bars == [6] * 3
    assert "<" not in page
    assert "x" * 2001 not in page


@pytest.mark.parametrize("content", ["{}", "null", "[" * 9000, "\0" * 50, "\ud800"])
def test_a_broken_file_is_reported_in_one_short_line(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    commands = (
        lambda: main(["compare", str(path), str(path)]),
        lambda: main(["report", "figures", str(path), str(tmp_path)]),
        lambda: main(["catalogue", "--results", str(path)]),
    )
    for command in commands:
        assert command() in (2, 4)
        said = capsys.readouterr().err
        assert "is not a record of verdicts" in said
        assert said.count("\n") == 1
        assert len(said) < 2100


RECORDED = {"alone": "refuted", "verdict": "refuted", "effect": 0.5, "unit": "bits"}


@pytest.mark.parametrize(
    "cell",
    [
        None,
        [],
        {},
        RECORDED | {"alone": "maybe"},
        RECORDED | {"alone": ["refuted"]},
        RECORDED | {"effect": "0.5"},
        RECORDED | {"effect": True},
        RECORDED | {"unit": None},
        {key: value for key, value in RECORDED.items() if key != "unit"},
    ],
)
def test_a_record_of_something_else_is_refused_in_words(
    cell: object, tmp_path: Path
) -> None:
    path = tmp_path / "expected.json"
    for found, is_good in ((RECORDED, True), (cell, False)):
        path.write_text(json.dumps({"settings": {}, "cells": {"a|b|c|4": found}}))
        if is_good:
            Record(path, Settings())
            continue
        with pytest.raises(OptionError, match="is not a recorded verdict"):
            Record(path, Settings())


def test_a_summary_says_what_is_unexpected_before_it_counts() -> None:
    rows = [hostile_row("tame")]
    text = short_summary(rows, hostile_run("tame", rows))
    assert text.index("1 unexpected cell") < text.index("1 cell on 1 model")
