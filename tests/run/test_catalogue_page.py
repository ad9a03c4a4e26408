"""The catalogue: every id is a claim, and the page says what the claims say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probes.claims import ClaimCard
from probes.cli.main import main
from probes.report.markdown import escape
from probes.results.reading import read_results
from probes.run.catalogue_page import catalogue_page
from probes.run.listing import find_claims
from tests.support.running import ROOT

CATALOGUE = (
    "one_layer_is_one_step",
    "same_sensitivity",
    "k_layers_are_k_steps",
    "same_rule_elsewhere",
    "weights_are_the_construction",
    "which_algorithm",
    "depth_is_steps",
    "prior_mean",
    "same_order_sensitivity",
    "weights_are_sparse_as_constructed",
    "robust_to_weight_change",
    "icl_survives_training_drift",
    "icl_survives_late_drift",
    "same_accuracy",
    "same_top_tokens",
    "same_confidence",
    "same_distribution",
    "same_data_efficiency",
    "icl_covers_gd",
    "same_update",
    "same_attention_change",
    "same_attention_to_demonstrations",
    "layer_causal_gd_is_closer",
    "same_activations",
    "labels_move_icl_as_they_move_gd",
    "context_is_a_rank_one_patch",
    "context_is_a_rank_one_patch_of_all_layers",
    "demonstrations_add_up",
    "same_demonstration_influence",
    "all_demonstrations_count_alike",
    "same_calibration",
    "labels_win_over_priors",
    "which_mixture_of_algorithms",
    "preconditioned_gd",
    "same_representations",
    "same_learning_curve",
    "update_that_reproduces_icl_is_gds",
    "generalises_alike",
    "cipher",
)
"""Every id of the catalogue, in its order."""

ELSEWHERE = {
    "same_order_sensitivity_in_regression",
    "weights_are_sparse_as_constructed_in_regression",
    "robust_to_weight_change_in_regression",
    "order_divides_icl_from_gd",
    "same_data_efficiency_with_more",
    "which_algorithm_on_text",
    "demonstrations_add_up_in_regression",
    "same_demonstration_influence_in_regression",
    "all_demonstrations_count_alike_in_regression",
}
"""The same claims on another family of tasks, or asked another way."""

CARDS = find_claims([str(ROOT / "claims")])
ROWS = read_results(ROOT / "reports" / "sample" / "results.jsonl")


def section(page: str, name: str) -> str:
    return page.partition(f"\n## {escape(name)}")[2].partition("\n## ")[0]


def test_every_id_of_the_catalogue_is_a_claim_and_no_other_is() -> None:
    assert {card.name for card in CARDS} == {*CATALOGUE, *ELSEWHERE}


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_claim_says_all_that_the_page_shows(card: ClaimCard) -> None:
    said = (card.sentence, card.source, card.measured, card.refuted_if)
    assert all(said)
    assert card.controls
    assert card.reported


def test_what_is_said_of_several_demonstrations_is_not_asked_of_one() -> None:
    several = {card.name for card in CARDS if card.least_demonstrations == 2}
    assert several == {
        "same_order_sensitivity",
        "same_order_sensitivity_in_regression",
        "order_divides_icl_from_gd",
        "same_attention_to_demonstrations",
        "same_learning_curve",
        "demonstrations_add_up",
        "demonstrations_add_up_in_regression",
        "same_demonstration_influence",
        "same_demonstration_influence_in_regression",
        "all_demonstrations_count_alike",
        "all_demonstrations_count_alike_in_regression",
    }


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_the_page_has_all_that_a_claim_says(card: ClaimCard) -> None:
    found = section(catalogue_page(CARDS, ROWS), card.name)
    fields = ("sentence", "source", "measured", "refuted_if", "controls", "reported")
    for field in fields:
        assert escape(getattr(card, field), 1000) in found


def test_the_page_counts_the_verdicts_of_a_model() -> None:
    page = catalogue_page(CARDS, ROWS)
    cells = [r for r in ROWS if r["claim"] == "same_accuracy[gd]"]
    model = cells[0]["model"]
    mine = [r["verdict"] for r in cells if r["model"] == model]
    verdict = mine[0].replace("_", " ")
    line = f"| gd | {model} | {cells[0]['kind']} | "
    said = next(x for x in section(page, "same_accuracy").splitlines() if line in x)
    assert f"{mine.count(mine[0])} {verdict}" in said


def test_several_cells_show_their_smallest_and_largest_effect() -> None:
    row = next(r for r in ROWS if r["claim"] == "same_accuracy[gd]")
    effect = {**row["effects"][0], "name": "gap", "unit": "fraction"}
    rows = [
        {**row, "verdict": "refuted", "effects": [{**effect, "value": value}]}
        for value in (0.5, 0.25, 0.75)
    ]
    assert "gap 0.25 to 0.75 fraction" in catalogue_page(CARDS, rows)


def test_a_claim_without_rows_says_so() -> None:
    assert "not run" in section(catalogue_page(CARDS, []), "same_accuracy")


def test_the_page_is_written_from_a_run(tmp_path: Path) -> None:
    results, out = tmp_path / "results.jsonl", tmp_path / "reports" / "page.md"
    results.write_text(json.dumps(ROWS[0]) + "\n", encoding="utf-8")
    main(
        [
            "catalogue",
            str(ROOT / "claims"),
            "--results",
            str(results),
            "--out",
            str(out),
        ]
    )
    assert out.read_text("utf-8") == catalogue_page(CARDS, ROWS[:1])


def test_a_file_that_holds_no_rows_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["catalogue", "--results", str(tmp_path / "nowhere.jsonl")]) == 4
    assert "is not a record of verdicts" in capsys.readouterr().err
