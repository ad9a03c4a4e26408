"""A run with a published set-up, as a user starts it: what it judges, what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from probes.run.setups import setup_named
from tests.support.running import ROOT, Ran, run

SCHEMA = json.loads((ROOT / "src/probes/results/row.schema.json").read_text())
SHEN = ("claims/", "--setup", "shen2024", "--models", "hmm_llama", "--raw", "-n", "0")
TINY = ("--sets", "2", "--queries", "3", "--calibration", "3", "--effort", "quick")
GIVEN = ("--demos", "2", "--rates", "0.01,0.1", "--passes", "1,2", "--orders", "2")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run(tmp_path_factory.mktemp("shen"), *SHEN, *TINY, *GIVEN)


def test_it_judges_every_claim_and_variant_of_the_set_up(ran: Ran) -> None:
    asked = sorted(
        f"{claim.name}[{variant}]" if variant else claim.name
        for claim in setup_named("shen2024").claims
        for variant in claim.variants or (None,)
    )
    assert sorted(row["claim"] for row in ran.rows) == asked
    assert {row["dataset"] for row in ran.rows} == {"hmm_many"}
    measured = {"supported", "refuted", "inconclusive"}  # neither errors nor dismissals
    assert {row["verdict"] for row in ran.rows} <= measured


@pytest.mark.parametrize(
    ("variant", "moved"), [("middle", "layers.2"), ("deep", "layers.3")]
)
def test_a_sub_model_is_w_v_of_one_layer(ran: Ran, variant: str, moved: str) -> None:
    for row in ran.rows:
        if f"gd_{variant}_W_V" in row["claim"]:
            (what,) = row["details"]["moved"]
            assert f"{moved}.self_attn.v_proj.weight" in what


def test_gd_learns_64_times_the_demonstrations_that_icl_reads(ran: Ran) -> None:
    (row,) = (r for r in ran.rows if "with_more" in r["claim"])
    assert "ICL reads 2 demonstrations, GD learns 128" in row["note"]
    names = {effect["name"] for effect in row["effects"]}
    assert {"label accuracy: ICL", "label accuracy: GD"} <= names


def test_a_model_of_english_reads_the_template_of_the_set_up(tmp_path: Path) -> None:
    for split in ("train", "test"):
        rows = [
            {"text": f"{split} film {i}", "label": ("negative", "positive")[i % 2]}
            for i in range(9)
        ]
        path = tmp_path / "rows" / "sst2" / f"{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    given = ("--models", "text_llama", "--datasets", "sst2", "-n", "0", "--raw")
    places = ("--data-dir", str(tmp_path / "rows"), "-k", "same_accuracy[ and 2-gd]")
    ran = run(tmp_path, *SHEN[:3], *given, *places, *TINY, *GIVEN)
    assert [row["claim"] for row in ran.rows] == ["same_accuracy[gd]"]
    assert ran.rows[0]["provenance"]["setup"]["--template"] == "zhao"
    assert "zhao" not in ran.text


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
