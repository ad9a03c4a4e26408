"""Pictures for papers: drawn from rows alone, readable whatever the rows hold."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from probes.cli.main import main
from probes.errors import OptionError
from probes.report.curve_readers import after_passes
from probes.report.curves import PLANS, panels_of
from probes.report.figures import draw_figures
from probes.report.step_maps import STEP_MATCHING, Best, maps_of
from probes.results.reading import read_results
from probes.results.rows import Row
from probes.verdicts.negative_controls import UNTRAINED
from tests.support.rows import HOSTILE, effect, row
from tests.support.running import ROOT

SAMPLE = ROOT / "reports/sample/results.jsonl"
TEXT = "{http://www.w3.org/2000/svg}text"


def accuracy_rows(**given: Any) -> list[Row]:
    arms = {"ICL": 0.7, "GD": 0.4, "base": 0.3}
    beside = [effect(name=f"label accuracy: {k}", value=v) for k, v in arms.items()]
    return [
        row(
            claim=f"same_accuracy[{variant}]",
            n_demonstrations=n,
            effects=[effect(), *beside],
        )
        | given
        for variant in ("gd", "adam")
        for n in (4, 8)
    ]


def test_every_figure_is_drawn_from_the_sample_as_svg_and_pdf(tmp_path: Path) -> None:
    few = {("hmm_llama", "hmm"), ("learned_lsa_2_looped", "linear")}  # all take minutes
    rows = read_results(SAMPLE)
    rows = [found for found in rows if (found["model"], found["dataset"]) in few]
    drawn = draw_figures([*rows, *matched(), *sparse_layers()], tmp_path)
    assert drawn.lacking == {}
    names = ["forest", "matrix", *(p.name for p in PLANS), STEP_MATCHING.name]
    assert [p.name for p in drawn.files] == [
        *(f"{name}.{kind}" for name in names for kind in ("svg", "pdf")),
        "verdicts_pretrained.tex",
        "verdicts_learned.tex",
    ]
    for path in drawn.files:
        if path.suffix == ".svg":
            ElementTree.parse(path)
        elif path.suffix == ".pdf":
            assert path.read_bytes().startswith(b"%PDF")


def sparse_layers(**given: Any) -> list[Row]:
    shares = {"W_Q": [0.3, 0.33], "W_K": [0.31, 0.35], "W_V": [0.4, 0.41]}
    held = {"below": 0.01, "shares": shares, "hoyer": shares} | given
    claim = "weights_are_sparse_as_constructed"
    return [
        row(claim=claim, effects=[effect(sets=[0.02, 0.05])])
        | {"details": {"layer_sparsity": held}}
    ]


def matched(**given: Any) -> list[Row]:
    """Imitate rows whose layers were matched with steps of two algorithms."""
    steps, layers = [0, 1, 2, 3, 4, 6, 8], [1, 2, 3]
    distances = [[abs(step - layer) * 0.1 for step in steps] for layer in layers]
    best = [{"steps": layer, "low": layer - 1, "high": 5} for layer in layers]
    held = {"unit": "of the answers' size", "steps": steps, "layers": layers}
    held |= {"algorithms": {"gd": distances, "newton": distances[::-1]}}
    held |= {"best": {"gd": best}}
    return [
        row(claim=f"depth_is_steps[{variant}]", model=model) | {"details": found}
        for model in ("looped", "softmax")
        for variant in ("gd", "newton")
        for found in ({"step_matching": held | given},)
    ]


def test_a_map_holds_the_distances_of_the_rows_and_the_nearest_steps() -> None:
    found = maps_of(matched())
    assert [*found] == [f"{m} on sst2, 4 demonstrations" for m in ("looped", "softmax")]
    gd, newton = found["looped on sst2, 4 demonstrations"]
    assert (gd.algorithm, newton.algorithm) == ("gd", "newton")
    assert gd.distances[2][3] == 0
    assert gd.distances == newton.distances[::-1]
    assert gd.best[0] == Best(steps=1, low=0, high=5)
    assert newton.best == ()


@pytest.mark.parametrize(
    "given",
    [
        {"steps": [0, 1]},
        {"steps": []},
        {"layers": [3, 2, 1]},
        {"algorithms": {"gd": [[1, 2]]}},
        {"algorithms": []},
        {"algorithms": {"gd": [["x"] * 7] * 3}},
        {"algorithms": {"gd": [[-1.0] * 7] * 3}},
        {"best": {"gd": [{"steps": 1}] * 3}},
        {"best": []},
        {"unit": 3},
    ],
)
def test_a_matching_whose_parts_do_not_fit_is_not_drawn(given: dict[str, Any]) -> None:
    assert maps_of(matched(**given)) == {}


def test_a_map_of_exact_matches_and_one_of_a_single_step_are_drawn(
    tmp_path: Path,
) -> None:
    exact = matched(algorithms={"gd": [[0.0] * 7] * 3})
    single = matched(steps=[1], algorithms={"gd": [[0.5]] * 3}, best={})
    for rows in (exact, single):
        files = draw_figures(rows, tmp_path).files
        assert [p.name for p in files if "step" in p.name] == [
            *("step_matching.svg", "step_matching.pdf")
        ]


def test_a_curve_holds_the_numbers_of_the_rows() -> None:
    plan = next(plan for plan in PLANS if plan.name == "accuracy")
    (lines,) = panels_of(plan, accuracy_rows()).values()
    assert [(p.x, p.value) for p in lines["adam"]] == [(4, 0.4), (8, 0.4)]
    assert [(p.x, p.low, p.high) for p in lines["ICL"]] == [
        (4, 0.1, 0.3),
        (8, 0.1, 0.3),
    ]
    assert set(lines) == {"ICL", "gd", "adam", "base"}


def test_the_same_rows_give_the_same_files(tmp_path: Path) -> None:
    rows = [*accuracy_rows(), *accuracy_rows(model="other", kind="learned")]
    first = draw_figures(rows, tmp_path / "a").files
    second = draw_figures(rows[::-1], tmp_path / "b").files
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_show_as_text_and_break_no_figure(
    name: str, tmp_path: Path
) -> None:
    text = HOSTILE[name]
    rows = accuracy_rows(model=text, dataset=f"${text}")
    rows[0]["effects"].append(effect(name=f"label accuracy: _{text}"))
    rows[0]["effects"].append(effect(name=r"label accuracy: $\frac$"))  # no formula
    held = matched(unit=text, algorithms={text: [[0.1] * 7] * 3})
    rows += [found | {"model": text} for found in held]
    files = {p.name: p for p in draw_figures(rows, tmp_path).files}
    for shown in ("step_matching", "accuracy", "matrix", "forest"):
        tree = ElementTree.parse(files[f"{shown}.svg"])
        assert "script" not in {e.tag.partition("}")[2] for e in tree.iter()}
        if name == "script" and shown in ("accuracy", "matrix"):
            texts = [e.text or "" for e in tree.iter(TEXT)]
            assert any(text in found for found in texts)
    assert files["accuracy.pdf"].read_bytes().startswith(b"%PDF")


def test_what_a_run_lacks_is_named_in_a_line_for_each_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    bare = [row(), row(claim="same_accuracy", effects=[])]
    needed = ("claim", "model", "dataset", "n_demonstrations", "verdict", "effects")
    kept = [{k: r[k] for k in (*needed, "provenance")} for r in bare]
    (run / "results.jsonl").write_text("".join(json.dumps(r) + "\n" for r in kept))
    assert main(["report", "figures", str(run), str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "not drawn: drift (no rows of icl_survives_training_drift)" in printed
    assert "not drawn: accuracy (the rows of same_accuracy have no such" in printed
    assert "verdicts_unknown.tex" in printed
    nowhere = str(tmp_path / "nowhere.jsonl")
    assert main(["report", "figures", nowhere, str(tmp_path)]) == 4
    assert "is not a record of verdicts" in capsys.readouterr().err


def searched(*searches: Any, claim: str = "same_top_tokens[gd_deep_W_V]") -> list[Row]:
    return [row(claim=claim) | {"details": {"searches": [*searches]}}]


SEARCHED = {"criterion": "token_overlap", "rate": 0.1, "passes": 2, "value": 0.3}
SEARCHED |= {"curves": [[0.1, [[1, 0.4], [2, 0.3], [4, None]]], [1.0, [[1, 0.9]]]]}


def test_passes_are_drawn_at_the_rate_that_was_chosen_and_as_the_measure() -> None:
    plan = next(plan for plan in PLANS if plan.name == "token_overlap_over_passes")
    loss = SEARCHED | {"criterion": "loss", "curves": [[0.1, [[1, 5.0]]]]}
    found = panels_of(plan, searched(loss, SEARCHED))
    assert [*found] == ["llama on sst2, 4 demonstrations"]
    (lines,) = found.values()
    assert [*lines] == ["gd_deep_W_V, rate 0.1"]
    points = [(p.x, p.value) for p in lines["gd_deep_W_V, rate 0.1"]]
    assert points == [(1, pytest.approx(0.6)), (2, pytest.approx(0.7))]


@pytest.mark.parametrize(
    "held", [None, "x", 3, {}, {"criterion": "token_overlap"}, SEARCHED | {"curves": 3}]
)
def test_a_search_that_another_version_wrote_is_left_out(held: Any) -> None:
    plan = next(plan for plan in PLANS if plan.name == "token_overlap_over_passes")
    assert panels_of(plan, searched(held)) == {}


def test_layers_are_drawn_by_matrix_and_drift_over_the_way_of_the_weights() -> None:
    by_name = {plan.name: plan for plan in PLANS}
    (lines,) = panels_of(by_name["sparsity_by_layer"], sparse_layers()).values()
    assert [(p.x, p.value) for p in lines["W_V"]] == [(1, 0.4), (2, 0.41)]
    (lines,) = panels_of(by_name["hoyer_by_layer"], sparse_layers()).values()
    assert [p.value for p in lines["W_Q, W_K, W_V"]] == [0.02, 0.05]
    assert panels_of(by_name["sparsity_by_layer"], sparse_layers(shares=[1])) == {}
    arms = {"m@1": (0.5, 0.0), "m": (0.7, 0.4), f"{UNTRAINED}, anew": (0.2, 0.6)}
    beside = [
        effect(name=f"{measure}: {arm}", value=values[i])
        for arm, values in arms.items()
        for i, measure in enumerate(
            ("label accuracy", "relative distance of parameters")
        )
    ]
    rows = [row(claim="icl_survives_training_drift", effects=[effect(), *beside])]
    (lines,) = panels_of(by_name["drift"], rows).values()
    assert [(p.x, p.value) for p in lines["4 demonstrations"]] == [(0, 0.5), (0.4, 0.7)]
    assert [p.x for p in lines[f"{UNTRAINED}, anew"]] == [0.6]


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"pip install 'icl-gd-probes\[figures\]'"):
        draw_figures(accuracy_rows(), tmp_path)


def test_a_folder_that_cannot_be_written_is_an_error_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["report", "figures", str(SAMPLE), str(tmp_path / "file")]) == 4
    assert "cannot be written" in capsys.readouterr().err


def test_order_sensitivity_over_passes_is_drawn_beside_icl_and_nowhere_else() -> None:
    values = {"ICL": 0.1, "GD": 0.02, "ICL in 3 orders": 0.09}
    values |= {after_passes(1): 0.05, after_passes(4): 0.03}
    beside = [
        effect(name=f"order sensitivity: {k}", value=v) for k, v in values.items()
    ]
    claim = "same_order_sensitivity[adam]"
    rows = [row(claim=claim, effects=[effect(), *beside])]
    by_name = {plan.name: plan for plan in PLANS}
    (lines,) = panels_of(by_name["order_sensitivity_over_passes"], rows).values()
    assert [(p.x, p.value) for p in lines["adam"]] == [(1, 0.05), (4, 0.03)]
    assert [(p.x, p.value) for p in lines["ICL in 3 orders"]] == [(1, 0.09), (4, 0.09)]
    (lines,) = panels_of(by_name["order_sensitivity"], rows).values()
    assert {*lines} == {"ICL", "adam"}


def test_losses_are_drawn_over_the_scales_of_inputs_and_of_teachers() -> None:
    names = ("inputs × 0.5", "inputs × 2", "teachers × 3", "laplace inputs")
    beside = [
        effect(name=f"squared error: {who}, {where}", value=0.5)
        for who in ("ICL", "GD")
        for where in names
    ]
    rows = [row(claim="same_loss_elsewhere", effects=[effect(), *beside])]
    by_name = {plan.name: plan for plan in PLANS}
    (lines,) = panels_of(by_name["loss_over_input_scale"], rows).values()
    assert {k: [p.x for p in v] for k, v in lines.items()} == {
        "ICL": [0.5, 2],
        "GD": [0.5, 2],
    }
    (lines,) = panels_of(by_name["loss_over_teacher_scale"], rows).values()
    assert [p.x for p in lines["GD"]] == [3]
