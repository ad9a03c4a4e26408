"""A run with a published set-up, as a user starts it: what it judges, what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.support.running import ROOT, Ran, run

SCHEMA = json.loads((ROOT / "src/probes/results/row.schema.json").read_text())
SHEN = ("claims/", "--setup", "shen2024", "--models", "hmm_llama", "--raw", "-n", "0")
TINY = ("--sets", "2", "--queries", "3", "--calibration", "3", "--effort", "quick")
GIVEN = ("--demos", "2", "--rates", "0.01,0.1", "--passes", "1,2", "--orders", "2")
ONLY = ("-k", "same_accuracy and (gd_label_words or gd_after_others) or late_drift")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run(tmp_path_factory.mktemp("shen"), *SHEN, *TINY, *GIVEN, *ONLY)


def test_it_judges_the_claims_of_the_set_up_with_its_losses(ran: Ran) -> None:
    assert ran.status == 0
    assert {row["claim"] for row in ran.rows} == {
        "same_accuracy[gd_label_words]",
        "same_accuracy[gd_after_others]",
        "icl_survives_late_drift",
    }
    assert {row["verdict"] for row in ran.rows} <= {"inconclusive", "not_applicable"}


def test_a_row_has_the_curves_of_all_given_rates_over_the_given_passes(
    ran: Ran,
) -> None:
    (row,) = (r for r in ran.rows if r["claim"] == "same_accuracy[gd_label_words]")
    for search in row["details"]["searches"]:
        assert [rate for rate, _ in search["curves"]] == [0.01, 0.1]
        assert [[n for n, _ in points] for _, points in search["curves"]] == [
            [1, 2]
        ] * 2


def test_late_drift_is_that_of_the_last_quarter_of_training(ran: Ran) -> None:
    (row,) = (r for r in ran.rows if r["claim"] == "icl_survives_late_drift")
    drifts = {e["name"]: e["value"] for e in row["effects"] if "distance" in e["name"]}
    of = "relative distance of parameters: hmm_llama"
    assert drifts[f"{of}@3"] == 0.0  # step 1500 of 2000
    assert drifts[of] > 0
    assert f"{of}@2" not in drifts  # step 1000


def test_rows_report_and_terminal_say_what_was_changed(ran: Ran) -> None:
    assert "Set-up shen2024 (Shen, Mishra and Khashabi" in " ".join(ran.text.split())
    for row in ran.rows:
        Draft202012Validator(SCHEMA).validate(row)
        made = row["provenance"]
        assert (made["rates"], made["passes"]) == ([0.01, 0.1], [1, 2])
        assert made["setup"]["changed --orders"] == "2 instead of 10"
        assert "--template" not in made["options"]
        assert made["options"]["--setup"] == "shen2024"
    page = (ran.reports / "matrix.md").read_text("utf-8")
    assert "changed --demos 2 instead of 1,2,4,8" in page.replace("\\", "")


def test_a_plan_of_the_set_up_on_a_large_model_speaks_of_gpus(tmp_path: Path) -> None:
    large = ("--models", "llama_7b_untrained", "--datasets", "headlines", "--plan")
    only = ("-k", "late_drift or same_accuracy and gd", "--dtype", "bfloat16")
    planned = run(tmp_path, *SHEN[:3], *large, *TINY, *GIVEN, *only)
    assert planned.status == 0
    assert "On H200 GPUs in bfloat16, a worker on each: llama_7b" in planned.text
    assert "13 GiB for the model, 38 to train all weights by gd" in planned.text


def test_an_unknown_set_up_ends_the_run_with_the_names_that_there_are(
    tmp_path: Path,
) -> None:
    ran = run(tmp_path, "claims/", "--setup", "shen")
    assert ran.status == 4
    assert "No set-up is named 'shen'. Expected one of: shen2024." in ran.text
