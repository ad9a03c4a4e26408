"""Runs with planted truths go on where they stopped, and judge what they should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from probes.calibration.planted_cells import PARTS, REGRESSION, TEXT, TEXT_WORDS
from probes.calibration.planted_runs import PlantedStudy, finished_runs
from probes.errors import EngineError, OptionError
from probes.run.listing import find_claims
from tests.support.running import ROOT

PLANTED = ("as it is", "GD at rate 0.01", "untouched model in place of GD")
ONE_TEST = replace(
    REGRESSION,
    models=("learned_lsa_1",),
    datasets=("linear",),
    tests=("claims/test_construction.py::test_one_layer_is_one_step",),
)
NO_LIKENESS = {
    "cipher": "of ICL alone",
    "context_is_a_rank_one_patch": "an identity",
    "context_is_a_rank_one_patch_of_all_layers": "an identity",
    "generalises_alike": "of facts in natural words, which no planted model reads",
    "icl_survives_late_drift": "of ICL alone",
    "icl_survives_training_drift": "of ICL alone",
    "layer_causal_gd_is_closer": "of a rival of GD",
    "layers_are_equal_steps": "of the growth of steps, not of likeness",
    "order_divides_icl_from_gd": "of ICL without order",
    "robust_to_weight_change": "of ICL alone",
    "robust_to_weight_change_in_regression": "of disturbed weights",
    "same_data_efficiency_with_more": "of GD on more demonstrations than ICL has",
    "weights_are_sparse_as_constructed": "of weights",
    "weights_are_sparse_as_constructed_in_regression": "of weights",
    "weights_are_the_construction": "of weights",
}

PROVENANCE = {"commit": "abc", "machine": "m", "versions": {"torch": "2", "numpy": "1"}}


def study(folder: Path, **changes: Any) -> PlantedStudy:
    given = {"n_seeds": 2, "parts": (REGRESSION,), "plants": PLANTED, **changes}
    return PlantedStudy(folder=folder, stores=folder / "stores", root=ROOT, **given)


def row(verdict: str = "supported") -> dict[str, Any]:
    names = {"claim": "c", "model": "m", "dataset": "d", "note": "", "details": None}
    return {**names, "verdict": verdict, "alone": verdict,
            "provenance": PROVENANCE}  # fmt: skip


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Judge nothing, and note what would have been judged."""
    done: list[tuple[str, int]] = []

    def judge(
        self: PlantedStudy, cells: Any, plant: str, seed: int, *folders: Path
    ) -> list[dict[str, Any]]:
        done.append((plant, seed))
        return [row()]

    monkeypatch.setattr(PlantedStudy, "_judge", judge)
    return done


def test_a_finished_study_judges_nothing_again(
    tmp_path: Path, judged: list[tuple[str, int]]
) -> None:
    study(tmp_path).run(processes=1)
    assert judged == [(plant, seed) for seed in (1, 2) for plant in PLANTED]
    study(tmp_path).run(processes=1)
    assert len(judged) == 6


def test_an_interrupted_study_makes_the_missing_runs_alone(
    tmp_path: Path, judged: list[tuple[str, int]]
) -> None:
    study(tmp_path).run(processes=1)
    path = tmp_path / "regression.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    del lines[3]
    path.write_text("".join(lines), "utf-8")
    judged.clear()
    study(tmp_path, n_seeds=3).run(processes=1)
    assert judged == [(PLANTED[1], 2), *((plant, 3) for plant in PLANTED)]


def test_every_finished_run_is_read_back(
    tmp_path: Path, judged: list[tuple[str, int]]
) -> None:
    study(tmp_path, n_seeds=11).run(processes=2)
    runs = list(finished_runs(tmp_path))
    assert [(run.plant, run.seed) for run in runs] == [
        (plant, seed) for plant in PLANTED for seed in range(1, 12)
    ]
    assert {run.commit for run in runs} == {"abc"}
    assert {run.machine for run in runs} == {"m, torch 2, numpy 1"}
    assert runs[0].rows[0]["verdict"] == "supported"
    assert not (tmp_path / "stores").exists() or not any(
        (tmp_path / "stores").iterdir()
    )


def test_a_plant_without_a_learner_for_the_tasks_is_left_out(
    tmp_path: Path, judged: list[tuple[str, int]]
) -> None:
    plants = ("majority label", "label prior")
    study(tmp_path, n_seeds=1, plants=plants).run(processes=1)
    assert judged == [("label prior", 1)]
    judged.clear()
    study(tmp_path, n_seeds=1, plants=plants, parts=(TEXT,)).run(processes=1)
    assert judged == [(plant, 1) for plant in plants]


def test_words_are_judged_with_plants_that_count_no_labels(
    tmp_path: Path, judged: list[tuple[str, int]]
) -> None:
    plants = ("label prior", "GD and small noise", "ICL in place of GD")
    study(tmp_path, n_seeds=1, plants=plants, parts=(TEXT_WORDS,)).run(processes=1)
    assert judged == [("ICL in place of GD", 1)]
    judged.clear()
    study(tmp_path, n_seeds=1, plants=plants, parts=(TEXT,)).run(processes=1)
    assert judged == [(plant, 1) for plant in plants]


def test_the_options_of_a_part_reach_pytest() -> None:
    assert TEXT_WORDS.arguments[-len(TEXT_WORDS.sizes) :] == list(TEXT_WORDS.sizes)
    assert TEXT.arguments[-2:] == ["--demos", "16"]


def test_a_run_that_fails_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(ONE_TEST, tests=("claims/test_construction.py::test_of_nothing",))
    with pytest.raises(EngineError, match=r"'as it is' and seed 1 ended with status"):
        study(tmp_path, parts=(broken,)).run(processes=1)
    assert not list(finished_runs(tmp_path))


def test_a_study_keeps_the_verdicts_of_all_draws(tmp_path: Path) -> None:
    part = replace(ONE_TEST, sizes=("--sets", "20"), redraws=2)
    plants = ("untouched model in place of GD",)
    study(tmp_path, n_seeds=1, parts=(part,), plants=plants).run(processes=1)
    ((kept,),) = [one.rows for one in finished_runs(tmp_path)]
    assert kept["verdicts"] == kept["corrected"] == {"refuted": 2}


def test_a_folder_without_claims_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="has no folder claims/"):
        replace(study(tmp_path), root=tmp_path).run(processes=1)


def test_the_shipped_claim_is_judged_with_the_planted_learner(tmp_path: Path) -> None:
    plants = ("as it is", "untouched model in place of GD")
    study(tmp_path, n_seeds=1, parts=(ONE_TEST,), plants=plants).run(processes=1)
    verdicts = {run.plant: [r["alone"] for r in run.rows]
                for run in finished_runs(tmp_path)}  # fmt: skip
    assert verdicts == {
        "as it is": ["supported"],
        "untouched model in place of GD": ["refuted"],
    }


def test_every_claim_of_likeness_is_judged_with_planted_truths() -> None:
    judged = {
        test.partition("::test_")[2].partition("[")[0]
        for part in PARTS.values()
        for test in part.tests
    }
    claims = {card.name for card in find_claims([str(ROOT / "claims")])}
    assert judged | set(NO_LIKENESS) == claims
    assert not judged & set(NO_LIKENESS)


def test_text_is_judged_where_the_gate_opens() -> None:
    of_text = [
        part
        for part in PARTS.values()
        if part.family == "text" and not part.open_answers
    ]
    assert {(part.models, part.n_demonstrations) for part in of_text} == {
        (("hmm_llama",), 16)
    }


def test_make_calibration_judges_both_families_and_leaves_out_what_takes_long() -> None:
    quick = [part for part in PARTS.values() if not part.takes_long]
    assert {part.family for part in quick} == {"text", "regression"}
    assert not any(part.redraws or part.open_answers for part in quick)
