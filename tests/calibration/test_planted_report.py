"""The page of planted truths is written from what is kept, and says what it covers."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from probes.calibration.planted_cells import TEXT_WORDS
from probes.calibration.planted_report import KEPT, PAGE, PlantedResults
from probes.calibration.planted_runs import PlantedRun
from probes.calibration.search_worlds import SearchCount
from probes.cli.main import UNUSABLE, main
from tests.support.running import ROOT

COMMITTED = ROOT / "reports" / "calibration"
ROW = {"claim": "same_update", "verdict": "refuted", "alone": "refuted"}
RUN = PlantedRun(
    part="text",
    plant="GD at rate 0.01",
    seed=4,
    commit="f" * 40,
    machine="a machine, torch 2",
    rows=(ROW,),
)
SEARCH = SearchCount(
    world="w", criterion="best at the task", runs=2, right=2, wrong=0, open=0,
    worst=0.001, verdicts={},
)  # fmt: skip


def test_the_committed_page_is_written_from_the_committed_counts() -> None:
    written = (COMMITTED / PAGE).read_text("utf-8")
    assert PlantedResults.read(COMMITTED).page() == written


def test_no_committed_search_that_is_not_interior_refutes() -> None:
    searches = PlantedResults.read(COMMITTED).searches
    assert searches
    assert not any("open, refuted" in count.verdicts for count in searches)


def test_results_are_read_back_as_written(tmp_path: Path) -> None:
    results = PlantedResults(searches=(SEARCH,)).with_runs([RUN])
    page = results.write(tmp_path)
    assert PlantedResults.read(tmp_path) == results
    assert (tmp_path / PAGE).read_text("utf-8") == page


def test_the_page_names_the_code_and_what_was_not_expected() -> None:
    page = PlantedResults().with_runs([RUN]).page()
    assert "Machine: a machine, torch 2." in page
    assert f"| {'f' * 7} |" in page
    assert '`same_update` with the plant "GD at rate 0.01": refuted in 1 of 1' in page
    assert "## Regression" not in page


def test_a_part_whose_model_was_not_fetched_is_left_out_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROBES_MODELS", str(tmp_path / "no models"))
    shutil.copy(COMMITTED / "summary.json", tmp_path)
    only = ["--only", f"planted truths: {TEXT_WORDS.name}", "--long"]
    assert main(["calibrate", *only, "--folder", str(tmp_path)]) == 0
    assert "Run: probes models fetch smollm2_135m" in capsys.readouterr().err
    assert not (tmp_path / "planted").exists()


def test_the_page_names_the_options_of_a_part() -> None:
    page = PlantedResults().with_runs([replace(RUN, part=TEXT_WORDS.name)]).page()
    assert f"Options: `{' '.join(TEXT_WORDS.sizes)}`." in page


def test_without_runs_the_earlier_counts_stay() -> None:
    earlier = PlantedResults(searches=(SEARCH,)).with_runs([RUN])
    assert earlier.with_runs([]) == earlier


def test_runs_renew_the_counts_of_their_part_and_plant_alone() -> None:
    earlier = PlantedResults().with_runs([RUN])
    other = replace(RUN, part="regression", commit="e" * 40)
    third = replace(RUN, plant="untouched model", commit="a" * 40)
    found = earlier.with_runs([other, replace(other, seed=5), third])
    assert {(count.part, count.plant): count.seeds for count in found.counts} == {
        ("text", RUN.plant): 1,
        ("text", third.plant): 1,
        ("regression", RUN.plant): 2,
    }
    renewed = found.with_runs([replace(RUN, commit="d" * 40)]).counts
    assert {c.commits for c in renewed if c.plant == RUN.plant} == {
        ("d" * 40,),
        ("e" * 40,),
    }


def test_nothing_is_read_where_nothing_was_written(tmp_path: Path) -> None:
    assert PlantedResults.read(tmp_path) == PlantedResults()
    assert not (tmp_path / KEPT).exists()


def test_a_negative_number_of_seeds_is_refused(tmp_path: Path) -> None:
    given = ["calibrate", "--seeds", "-1", "--folder", str(tmp_path)]
    assert main(given) == UNUSABLE
    assert not list(tmp_path.iterdir())
