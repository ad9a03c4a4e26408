"""The whole way of the data, run as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.running import ROOT, Ran, command, environment, run

SMALL = ("--sets", "5", "--queries", "30", "--calibration", "6", "--orders", "3")
GD = (
    "--models",
    "constructed_gd_1,spoiled_gd_1",
    "--datasets",
    "linear",
    "--demos",
    "10",
)
SCHEMA = json.loads((ROOT / "src/probes/results/row.schema.json").read_text())
CONSTRUCTION = "claims/test_construction.py"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run(tmp_path_factory.mktemp("small"), CONSTRUCTION, *GD, *SMALL, "--raw")


@pytest.fixture(scope="module")
def again(small: Ran) -> Ran:
    kept = small.reports.parent / "kept.jsonl"
    kept.write_text("".join(json.dumps(row) + "\n" for row in small.rows))
    return run(small.reports.parent, CONSTRUCTION, *GD, *SMALL, "--expect", str(kept))


def verdicts(ran: Ran) -> dict[tuple[str, str], str]:
    return {(row["claim"], row["model"]): row["verdict"] for row in ran.rows}


def test_a_constructed_model_is_supported_and_its_spoiled_copy_refuted(
    small: Ran,
) -> None:
    found = verdicts(small)
    for claim in ("one_layer_is_one_step", "same_sensitivity", "which_algorithm"):
        assert found[claim, "constructed_gd_1"] == "supported"
        assert found[claim, "spoiled_gd_1"] == "refuted"


def test_every_row_fits_the_schema(small: Ran) -> None:
    validator = Draft202012Validator(SCHEMA)
    for row in small.rows:
        validator.validate(row)


def test_without_a_record_a_refuted_cell_fails(small: Ran) -> None:
    assert small.status == 1
    assert "REFUTED, NO RECORD" in small.text
    refuted = sum(row["verdict"] == "refuted" for row in small.rows)
    assert refuted >= 3
    assert f"{refuted} refuted cells failed without a recorded verdict" in small.text
    assert "R!" not in small.text


def test_a_refuted_cell_that_was_recorded_so_is_xfailed(again: Ran) -> None:
    assert again.status == 0
    assert {r["outcome"] for r in again.rows} == {"passed", "xfailed"}


def test_a_second_run_makes_no_forward_pass(small: Ran, again: Ran) -> None:
    assert small.run["forward_passes"] > 0
    assert again.run["forward_passes"] == again.run["observations_measured"] == 0
    keys = {key for row in again.rows for key in row["observations"]}
    assert again.run["observations_stored"] >= len(keys) > 0


def test_a_verdict_unlike_its_record_fails_with_both(
    small: Ran, tmp_path: Path
) -> None:
    rows = [{**row, "alone": "supported", "verdict": "supported"} for row in small.rows]
    record = tmp_path / "wrong.jsonl"
    record.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = run(
        small.reports.parent, CONSTRUCTION, *GD, *SMALL, "--expect", str(record)
    )
    assert found.status == 1
    assert "The record says supported" in found.text
    assert "this run says refuted" in found.text


def test_a_run_says_what_it_was_compared_with(again: Ran) -> None:
    found = again.run["record"]
    n_cells = len(again.rows)
    assert (found["compared"], found["new"], found["not_run"]) == (n_cells, 0, 0)
    assert found["differs"] == {}
    said = f"{n_cells} cells in both, 0 only here, 0 only there."
    assert said in " ".join(again.text.split())


def test_a_comparison_of_unlike_runs_names_what_differs(again: Ran) -> None:
    kept = str(again.reports.parent / "kept.jsonl")
    other = (*GD, *SMALL, "--seed", "1", "--expect", kept, "-k", "same_sensitivity")
    found = run(again.reports.parent / "other", CONSTRUCTION, *other)
    assert found.run["record"]["compared"] == 2
    assert found.run["record"]["not_run"] == len(again.rows) - 2
    assert found.run["record"]["differs"] == {"seed": ["0", "1"]}


def test_rows_carry_the_options_that_a_rerun_needs(small: Ran) -> None:
    options = small.rows[0]["provenance"]["options"]
    assert options == {
        "--models": "constructed_gd_1,spoiled_gd_1", "--datasets": "linear",
        "--demos": "10", "--sets": "5", "--queries": "30", "--orders": "3",
        "--calibration": "6", "--store": str(small.reports.parent / "store"),
        "--reports": str(small.reports / "again"), "--raw": "",
    }  # fmt: skip


def test_an_incomplete_run_leaves_the_last_report_and_counts_what_it_planned(
    small: Ran, tmp_path: Path
) -> None:
    shutil.copytree(small.reports, tmp_path / "reports")
    before = (tmp_path / "reports" / "results.jsonl").read_bytes()
    found = run(tmp_path, CONSTRUCTION, *GD, *SMALL, "--raw", "-x")
    assert (tmp_path / "reports" / "results.jsonl").read_bytes() == before
    partial = tmp_path / "reports" / "interrupted"
    rows = (partial / "results.jsonl").read_text("utf-8").splitlines()
    assert 0 < len(rows) < len(small.rows)
    summary = json.loads((partial / "run.json").read_text("utf-8"))
    assert summary["cells"] == len(small.rows)
    said = " ".join(found.text.split())
    assert f"RUN INCOMPLETE: {len(rows)} of {len(small.rows)} cells have a row." in said
    assert f"The last complete report stays in {tmp_path / 'reports'}." in said
    assert 0 < found.text.count("no report: ") <= 3


def test_given_datasets_are_listed_with_their_labels_counted(tmp_path: Path) -> None:
    found = run(tmp_path, "claims/", "--list-datasets", "--datasets", "opinions")
    assert "train 252 (positive 126, negative 126)" in found.text
    assert "linear" not in found.text


def test_self_tests_are_in_every_run(small: Ran) -> None:
    assert len(small.run["self_tests"]) == 4
    assert all(small.run["self_tests"].values())
    assert small.run["complete"] is True


def test_workers_give_the_rows_that_one_process_gives(
    small: Ran, tmp_path: Path
) -> None:
    workers = run(tmp_path, CONSTRUCTION, *GD, *SMALL, "--raw", "-n", "2")

    def science(ran: Ran) -> list[dict[str, Any]]:
        kept = ("claim", "model", "dataset", "verdict", "effects", "observations")
        return [{name: row[name] for name in kept} for row in ran.rows]

    assert science(workers) == science(small)
    assert workers.run["observations_measured"] == small.run["observations_measured"]


@pytest.mark.parametrize(
    "option", ["--list-claims", "--list-models", "--list-datasets"]
)
def test_lists_import_no_torch(option: str, tmp_path: Path) -> None:
    probe = (
        "import sys, pytest; code = pytest.main(sys.argv[1:]); "
        "sys.exit(9 if 'torch' in sys.modules else code)"
    )
    words = [command(tmp_path)[0], "-c", probe, "claims/", option]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "constructed_gd_1" in done.stdout or "linear" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "wording"),
    [
        (("--models", "constructed_gd1"), "Did you mean constructed_gd_1"),
        (("--datasets", "opinion"), "Did you mean opinions"),
        (("--demos", "0"), "--demos has '0'"),
        (("--sets", "0"), "--sets is 0"),
        (("--data-dir", "nowhere"), "which is no folder"),
        (("--expect", "nowhere.json"), "which is no file"),
        (("--expect", "pyproject.toml"), "is not a record of verdicts: Expecting"),
        (("--expect", "reports/sample/run.json"), "has no 'settings' and 'cells'"),
        (("--expect", "fixtures/rows/hmm/test.jsonl"), "line 1 lacks claim"),
        (("--datasets", "nowhere/rows.jsonl"), "there is no such file"),
        (
            ("--models", "llama_7b", "--datasets", "sst2", "--data-dir", "tests"),
            "Check --data-dir",
        ),
        (("--models", "hmm_llama", "--datasets", "opinions"), "No cell can exist"),
        (
            ("--models", "hmm_llama", "--datasets", "hmm", "-n", "1"),
            "No cell is left: the claims chosen cannot be asked of hmm_llama on hmm",
        ),
        (("--store", "LICENSE/store"), "cannot be written"),
        (("--device", "gpu"), "Expected cpu, cuda"),
        (("--models", ""), "--models is empty"),
        (("--models", "docs", "--datasets", "opinions"), "no config.json"),
    ],
)
def test_a_bad_option_is_refused_in_one_sentence(
    arguments: tuple[str, ...], wording: str, tmp_path: Path
) -> None:
    found = run(tmp_path, CONSTRUCTION, *GD, *SMALL, *arguments)
    assert found.status == 4
    assert wording in found.text
    assert "Traceback" not in found.text


def test_one_bad_cell_leaves_the_others_their_results(tmp_path: Path) -> None:
    rows = tmp_path / "long.jsonl"
    word = "very long indeed " * 400
    lines = [
        {"text": f"{i} {word}", "label": "bad" if i % 2 else "good"} for i in range(60)
    ]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = run(
        tmp_path,
        "claims/test_output.py::test_same_accuracy",
        *SMALL,
        *(
            "--models",
            "untrained_llama",
            "--datasets",
            f"{rows},opinions",
            "--demos",
            "2",
        ),
    )
    kinds = {row["dataset"]: row["verdict"] for row in found.rows}
    assert kinds.pop("long") == "error"
    assert kinds["opinions"] in ("not_applicable", "inconclusive")
    reasons = [row["reason"] for row in found.rows if row["dataset"] == "long"]
    for reason in reasons:
        assert "the model reads 1024. Expected it to fit" in reason
        assert "--demos, --long-rows drop to leave out long rows" in reason


CLAIM = """
import os, signal
from pathlib import Path
from probes.claims import claim
from probes.measures import answer_order_sensitivity

@claim(on="regression")
def test_gd_ignores_order(gd_orders, judge, cell):
    '''Full-batch GD ignores order.

    Source:
        Shen et al. 2024
    '''
    flag = Path(os.environ["FLAG"])
    if cell.n_demonstrations == 3 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    judge.stays_below(answer_order_sensitivity(gd_orders), margin=1e-9)
"""


@pytest.fixture
def folder_of_claims(tmp_path: Path) -> Path:
    folder = tmp_path / "others"
    folder.mkdir()
    (folder / "test_theirs.py").write_text(CLAIM)
    return folder


SLOW = """
import time
from probes.claims import claim
from probes.engine import progress
from probes.measures import answer_order_sensitivity

progress.SECONDS_BETWEEN[False] = 0.2

@claim(on="regression")
def test_gd_takes_its_time(gd_orders, judge):
    '''Full-batch GD ignores order.

    Source:
        Shen et al. 2024
    '''
    time.sleep(1)
    judge.stays_below(answer_order_sensitivity(gd_orders), margin=1e-9)
"""


def test_progress_shows_without_workers_while_a_test_runs(tmp_path: Path) -> None:
    (tmp_path / "test_slow.py").write_text(SLOW)
    found = run(
        tmp_path,
        *("-c", "pyproject.toml", "--rootdir", ".", "-p", "conftest"),
        *(str(tmp_path / "test_slow.py"), *SMALL, "-n", "0"),
        *("--models", "constructed_gd_1", "--datasets", "linear", "--demos", "2"),
    )
    assert "observations, 0 stored, about" in found.text
    assert "LinearLearner (gd) on constructed_gd_1" in found.text


@pytest.mark.parametrize("n", ["1", "2"])
def test_a_cell_whose_worker_dies_is_one_error_and_the_rest_finishes(
    n: str, folder_of_claims: Path, tmp_path: Path
) -> None:
    found = run(
        tmp_path,
        *("-c", "pyproject.toml", "--rootdir", ".", "-p", "conftest"),
        *(str(folder_of_claims), *SMALL, "-n", n),
        *("--models", "constructed_gd_1", "--datasets", "linear", "--demos", "2,3,4"),
        FLAG=str(tmp_path / "flag"),
    )
    assert {r["n_demonstrations"]: r["verdict"] for r in found.rows} == {
        2: "supported",
        3: "error",
        4: "supported",
    }
    assert found.status == 1
    dead = next(row for row in found.rows if row["verdict"] == "error")
    Draft202012Validator(SCHEMA).validate(dead)
    assert (dead["kind"], dead["source"]) == ("constructed", "Shen et al. 2024")
    assert dead["sentence"] == "Full-batch GD ignores order."


SLIPS = """
from probes.claims import claim
from probes.measures import prediction_distance

@claim(on="regression", identity=True)
def test_itself(icl, judge):
    '''ICL is as it is.

    Source:
        a test
    '''
    judge.stays_below(prediction_distance(icl, icl), margin=0.1)
"""


@pytest.fixture(scope="module")
def slips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("slips")
    (folder / "test_slips.py").write_text(SLIPS)
    found = run(
        folder,
        *("-c", "pyproject.toml", "--rootdir", ".", "-p", "conftest"),
        *(str(folder), *SMALL, "--models", "constructed_gd_1"),
        *("--datasets", "linear", "--demos", "2"),
    )
    return {row["claim"]: row for row in found.rows}


def test_a_support_without_any_width_says_so(
    slips: dict[str, dict[str, Any]],
) -> None:
    assert slips["itself"]["verdict"] == "supported"
    assert slips["itself"]["note"].startswith("all values are 0:")


def test_an_identity_is_marked_in_its_row(
    slips: dict[str, dict[str, Any]], small: Ran
) -> None:
    assert slips["itself"]["identity"] is True
    assert not any(row["identity"] for row in small.rows)


def test_a_lost_worker_that_is_not_replaced_makes_the_run_incomplete(
    folder_of_claims: Path, tmp_path: Path
) -> None:
    found = run(
        tmp_path,
        *("-c", "pyproject.toml", "--rootdir", ".", "-p", "conftest"),
        *(str(folder_of_claims), *SMALL, "-n", "1", "--max-worker-restart", "0"),
        *("--models", "constructed_gd_1", "--datasets", "linear", "--demos", "2,3,4"),
        FLAG=str(tmp_path / "flag"),
    )
    assert found.status != 0
    assert found.run["complete"] is False


def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    claim = "claims/test_output.py::test_same_accuracy"
    arguments = (claim, *SMALL, "--models", "hmm_llama", "--demos", "4", "--raw")
    killed = tmp_path / "killed"
    begun = subprocess.Popen(
        command(killed, *arguments),
        cwd=ROOT,
        env=environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    before: set[str] = set()
    deadline = time.monotonic() + 120
    while len(before) < 8 and begun.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
        before = {p.stem for p in killed.rglob("*.safetensors")}
    os.killpg(begun.pid, signal.SIGKILL)
    begun.wait()
    before = {p.stem for p in killed.rglob("*.safetensors")}
    finished = run(killed, *arguments)
    whole = run(tmp_path / "whole", *arguments)
    assert finished.run["observations_measured"] == (
        whole.run["observations_measured"] - len(before)
    )
    assert strip(finished.rows) == strip(whole.rows)


def strip(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "provenance")}
        for row in rows
    ]
