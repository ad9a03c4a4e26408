"""Order sensitivity over passes in a cell's panel: its points, words and drawing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from probes.report.curve_readers import after_passes
from probes.report.curves import PLANS, panels_of
from probes.report.matrix import arrange
from probes.report.page_data import pack
from probes.report.pass_curves import pass_curves, pass_curves_in_words
from probes.results.rows import Row
from tests.support.browser import (
    as_new,
    browser,
    faults_of,
    find,
    needs_browser,
    show,
)
from tests.support.rows import effect, row, run_of

__all__ = ["as_new", "browser"]  # fixtures, for pytest to find

SAMPLE = Path(__file__).parents[2] / "reports/sample/results.jsonl"
TITLE = "Order sensitivity over passes"


def order_row(**values: float) -> Row:
    """Imitate a row of the claim; the values are arms of order sensitivity."""
    arms = {"ICL": 0.1, "GD": 0.02, "ICL in 3 orders": 0.09} | values
    named = [effect(name=f"order sensitivity: {k}", value=v) for k, v in arms.items()]
    bounded = [one | {"low": one["value"] / 2, "high": 0.12} for one in named]
    claim = "same_order_sensitivity[adam]"
    return row(claim=claim, effects=[effect(), *bounded])


def walked() -> Row:
    return order_row(**{after_passes(1): 0.05, after_passes(16): 0.03})


def test_a_curve_has_the_passes_in_order_and_names_its_effects() -> None:
    found = order_row(**{after_passes(16): 0.03, after_passes(1): 0.05})
    learner, icl = pass_curves(found)
    assert (learner.name, icl.name) == ("adam", "ICL in 3 orders")
    assert [n for n, _ in learner.points] == [n for n, _ in icl.points] == [1, 16]
    assert [found["effects"][i]["value"] for _, i in learner.points] == [0.05, 0.03]


@pytest.mark.parametrize(
    "arms",
    [
        {},
        {after_passes(1): 0.05},
        {after_passes(1): 0.05, after_passes(4): math.inf},
    ],
)
def test_fewer_than_two_numbers_of_passes_are_no_curve(arms: dict[str, float]) -> None:
    found = order_row(**arms)
    assert pass_curves(found) == []
    assert pass_curves_in_words(found) == ""
    assert packed([found])["rows"][0]["over_passes"] is None


def test_the_words_say_where_each_line_begins_and_ends() -> None:
    assert pass_curves_in_words(walked()) == (
        "adam: .05 [.025, .12] after 1 pass, .03 [.015, .12] after 16 passes; "
        "ICL in 3 orders: .09 [.045, .12]."
    )


def packed(rows: list[Row]) -> dict[str, Any]:
    found = pack(rows, arrange(rows), run_of(rows))
    fields = found["row_fields"]
    padded = [[*r, *[None] * (len(fields) - len(r))] for r in found["rows"]]
    return found | {"rows": [dict(zip(fields, r, strict=True)) for r in padded]}


def figure_points(rows: list[Row]) -> dict[str, list[tuple[float, str]]]:
    """Return what ``probes report figures`` draws, to the digits of the page."""
    (plan,) = [one for one in PLANS if one.name == "order_sensitivity_over_passes"]
    (lines,) = panels_of(plan, rows).values()
    return {k: [(p.x, f"{p.value:.4g}") for p in v] for k, v in lines.items()}


def test_the_page_has_the_points_of_the_figure() -> None:
    rows = [json.loads(line) for line in SAMPLE.read_text("utf-8").splitlines()]
    own = [r for r in rows if pass_curves(r)]
    assert len(own) >= 5
    for one in own:
        data = packed([one])
        (line,), texts = data["rows"], data["strings"]
        value = data["effect_fields"].index("value")
        drawn = {
            texts[name]: [(n, f"{line['effects'][i][value]:.4g}") for n, i in points]
            for name, points in line["over_passes"][1]
        }
        assert drawn == figure_points([one])


def opened(browser: Any, folder: Path, rows: list[Row]) -> dict[str, Any]:
    """Open the first cell and return its figures by their titles."""
    show(browser, folder, rows)
    find(browser, "tr[data-line='0'] td > button")[0].click()
    if not find(browser, "article"):
        find(browser, ".cells td > button")[0].click()
    shown = find(browser, "article figure")
    return {one.text.split("\n")[0]: one for one in shown}


@needs_browser
def test_the_panel_draws_learner_and_icl_with_their_words(
    browser: Any, tmp_path: Path
) -> None:
    drawn = opened(browser, tmp_path, [walked()])[TITLE]
    count = "return arguments[0].querySelectorAll(arguments[1]).length"
    for part, n in (("circle.gd", 2), ("circle.icl", 2), ("polygon.band", 2)):
        assert browser.execute_script(count, drawn, part) == n
    assert "adam: .05 [.025, .12] after 1 pass" in drawn.text
    spoken = "return arguments[0].querySelector('svg > title').textContent"
    assert faults_of(browser) == []
    assert browser.execute_script(spoken, drawn) == (
        "adam: 1 pass 0.05 [0.025, 0.12], 16 passes 0.03 [0.015, 0.12]; "
        "ICL in 3 orders: 1 pass 0.09 [0.045, 0.12], 16 passes 0.09 [0.045, 0.12]"
    )


@needs_browser
def test_more_passes_and_less_sensitivity_lie_to_the_right_and_below(
    browser: Any, tmp_path: Path
) -> None:
    drawn = opened(browser, tmp_path, [walked()])[TITLE]
    script = """
    return [...arguments[0].querySelectorAll("circle.gd, circle.icl")].map(
      (dot) => [Number(dot.getAttribute("cx")), Number(dot.getAttribute("cy"))]);
    """
    first, last, icl, _ = browser.execute_script(script, drawn)
    assert first[0] == icl[0] < last[0]
    assert icl[1] < first[1] < last[1]  # y grows downwards


@needs_browser
def test_what_the_curve_draws_is_no_arm_beside_it(browser: Any, tmp_path: Path) -> None:
    figures = opened(browser, tmp_path, [walked(), walked() | {"n_demonstrations": 8}])
    arms = figures["Arms: order sensitivity"].text
    assert {"ICL", "GD"} <= {*arms.split("\n")}
    assert "after 16 passes" not in arms
    by_number = figures["Arms by number of demonstrations: order sensitivity"].text
    assert "after" not in by_number


@needs_browser
def test_a_cell_without_passes_has_no_such_figure(browser: Any, tmp_path: Path) -> None:
    assert TITLE not in opened(browser, tmp_path, [order_row()])
