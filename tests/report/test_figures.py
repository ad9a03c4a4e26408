"""Pictures for papers: drawn from rows alone, readable whatever the rows hold."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from probes.cli.main import main
from probes.errors import OptionError
from probes.report.curves import PLANS, panels_of
from probes.report.figures import draw_figures
from probes.report.step_maps import STEP_MATCHING, Best, maps_of
from probes.results.reading import read_results
from probes.results.rows import Row
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
    drawn, lacking = draw_figures([*rows, *matched()], tmp_path)
    assert lacking == []
    assert {p.name for p in drawn} == {
        f"{plan.name}.{kind}"
        for plan in (*PLANS, STEP_MATCHING)
        for kind in ("svg", "pdf")
    }
    for path in drawn:
        if path.suffix == ".svg":
            ElementTree.parse(path)
        else:
            assert path.read_bytes().startswith(b"%PDF")


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
        drawn, _ = draw_figures(rows, tmp_path)
        assert [p.name for p in drawn] == ["step_matching.svg", "step_matching.pdf"]


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
    first, _ = draw_figures(accuracy_rows(), tmp_path / "a")
    second, _ = draw_figures(accuracy_rows()[::-1], tmp_path / "b")
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
    drawn, _ = draw_figures(rows, tmp_path)
    assert drawn[-2].name == "step_matching.svg"
    ElementTree.parse(drawn[-2])
    tags = {e.tag.partition("}")[2] for e in ElementTree.parse(drawn[0]).iter()}
    assert "script" not in tags
    texts = [e.text or "" for e in ElementTree.parse(drawn[0]).iter(TEXT)]
    if name == "script":
        assert any(text in shown for shown in texts)
    assert drawn[1].read_bytes().startswith(b"%PDF")


def test_rows_without_the_claims_are_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OptionError, match="None of the 1 rows can be drawn"):
        draw_figures([row()], tmp_path)
    assert (
        main(["report", "figures", str(tmp_path / "nowhere.jsonl"), str(tmp_path)]) == 4
    )
    assert "is not a record of verdicts" in capsys.readouterr().err


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
