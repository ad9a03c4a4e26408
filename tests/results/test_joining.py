"""Runs that were made apart make one report, corrected over all their cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from probes.cli.main import main
from probes.errors import OptionError
from probes.results.joining import join_runs
from probes.results.reading import read_results
from tests.support.running import ROOT

SAMPLE = ROOT / "reports" / "sample"
MODELS = ("hmm_llama", "learned_lsa_1", "learned_softmax")


def part_of_the_sample(folder: Path, model: str, **changed: Any) -> Path:
    """Write the sample's rows of one model as a run of its own."""
    rows = [
        row for row in read_results(SAMPLE / "results.jsonl") if row["model"] == model
    ]
    folder.mkdir(parents=True)
    lines = [json.dumps(row) + "\n" for row in rows]
    (folder / "results.jsonl").write_text("".join(lines), "utf-8")
    run = json.loads((SAMPLE / "run.json").read_text("utf-8")) | changed
    (folder / "run.json").write_text(json.dumps(run), "utf-8")
    return folder


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    return [part_of_the_sample(tmp_path / model, model) for model in MODELS]


def test_every_cell_is_there_with_its_own_verdict(parts: list[Path]) -> None:
    rows, run = join_runs(parts)
    theirs = [row for part in parts for row in read_results(part / "results.jsonl")]
    assert {row["test"]: row["alone"] for row in rows} == {
        row["test"]: row["alone"] for row in theirs
    }
    assert run["cells"] == len(rows) == sum(run["verdicts"].values())
    assert run["complete"]


def test_one_run_joined_with_none_is_itself(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    for name in ("results.jsonl", "run.json"):
        (tmp_path / "all" / name).write_bytes((SAMPLE / name).read_bytes())
    rows, _ = join_runs([tmp_path / "all"])
    before = {row["test"]: row for row in read_results(SAMPLE / "results.jsonl")}
    for row in rows:
        was = before[row["test"]]
        assert row["verdict"] == was["verdict"]
        for now, then in zip(row["effects"][:1], was["effects"][:1], strict=True):
            assert now["p_adjusted"] == then["p_adjusted"]


def test_the_correction_is_over_the_cells_of_all_runs(parts: list[Path]) -> None:
    alone, _ = join_runs(parts[:1])
    together, _ = join_runs(parts)
    adjusted = {
        row["test"]: row["effects"][0]["p_adjusted"]
        for row in together
        if row["effects"]
    }
    assert any(
        row["effects"] and row["effects"][0]["p_adjusted"] != adjusted[row["test"]]
        for row in alone
    )


def test_a_run_that_was_stopped_makes_the_whole_incomplete(tmp_path: Path) -> None:
    parts = [
        part_of_the_sample(tmp_path / "a", MODELS[0]),
        part_of_the_sample(
            tmp_path / "b", MODELS[1], complete=False, self_tests={"same": False}
        ),
    ]
    _, run = join_runs(parts)
    assert not run["complete"]
    assert run["self_tests"]["same"] is False


def test_the_summary_says_what_runs_have_in_common_and_how_they_differ(
    tmp_path: Path,
) -> None:
    was = json.loads((SAMPLE / "run.json").read_text("utf-8"))["provenance"]
    five = {"n_sets": 5, "options": {"--demos": "4", "--effort": "quick"}}
    ten = {"n_sets": 10, "options": {"--demos": "8", "--effort": "quick"}}
    parts = [
        part_of_the_sample(tmp_path / model, model, provenance=was | own)
        for model, own in zip(MODELS, (five, ten), strict=False)
    ]
    _, run = join_runs(parts)
    assert run["provenance"] == was | {
        "n_sets": "5, 10",
        "options": {"--effort": "quick"},
    }
    into = tmp_path / "joined"
    assert main(["report", "join", str(into), *map(str, parts)]) == 0
    assert "5, 10 demonstration sets" in (into / "matrix.md").read_text("utf-8")


def test_the_same_cell_twice_is_refused(parts: list[Path]) -> None:
    with pytest.raises(OptionError, match="have both judged .* Leave one"):
        join_runs([parts[0], parts[0]])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"self_tests": 3}'])
def test_a_folder_without_a_run_is_refused(parts: list[Path], text: str) -> None:
    (parts[0] / "run.json").write_text(text, "utf-8")
    with pytest.raises(OptionError, match=r"run\.json is not the summary of a run"):
        join_runs(parts)


def test_the_command_writes_a_report(parts: list[Path], tmp_path: Path) -> None:
    into = tmp_path / "joined"
    assert main(["report", "join", str(into), *map(str, parts)]) == 0
    written = {path.name for path in into.iterdir()}
    assert {"index.html", "matrix.md", "results.jsonl", "run.json"} <= written
    assert MODELS[0] in (into / "matrix.md").read_text("utf-8")
