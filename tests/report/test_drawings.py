"""The drawings of a cell's panel: nothing overlaps, and 0 is where it belongs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from probes.report.matrix import split_variant
from probes.report.page import matrix_page
from probes.results.rows import Row
from tests.support.browser import (
    as_new,
    browser,
    find,
    needs_browser,
    screen,
    show,
    show_text,
)
from tests.support.rows import effect, row, run_of

pytestmark = needs_browser
__all__ = ["as_new", "browser"]  # fixtures, for pytest to find

SAMPLE = Path(__file__).parents[2] / "reports/sample/results.jsonl"
CELL = ("claim", "model", "dataset", "n_demonstrations")
CLASHES = """
for (const button of [...open]) button.shut();
opened.clear();
openCell(arguments[0]);
const clashes = [];
for (const svg of document.querySelectorAll("article svg")) {
  const texts = [...svg.querySelectorAll("text")].filter((part) => part.textContent);
  const boxes = texts.map((part) => part.getBoundingClientRect());
  const edge = svg.getBoundingClientRect();
  const said = (i) => texts[i].firstChild.textContent;
  boxes.forEach((one, i) => {
    if (one.left < edge.left - 2 || one.right > edge.right + 2) clashes.push(said(i));
    boxes.slice(i + 1).forEach((other, j) => {
      const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      if (across > 1 && down > 3) clashes.push(said(i) + " | " + said(i + 1 + j));
    });
  });
}
return clashes;
"""


def one_row_of_each_claim() -> tuple[list[Row], list[Row]]:
    """Return the rows of the sample, and for each claim and kind the one with most."""
    rows = [json.loads(line) for line in SAMPLE.read_text("utf-8").splitlines()]
    ordered = sorted(rows, key=lambda r: (len(json.dumps(r.get("details"))), str(r)))
    chosen = {(split_variant(r["claim"])[0], r["kind"]): r for r in ordered}
    return rows, list(chosen.values())


@pytest.mark.parametrize("width", [1400, 375])
def test_no_two_texts_of_a_drawing_overlap_and_none_is_outside(
    browser: Any, tmp_path: Path, width: int
) -> None:
    rows, chosen = one_row_of_each_claim()
    screen(browser, width, 900)
    show_text(browser, tmp_path, matrix_page(rows, run_of(rows)))
    names = ["|".join(str(one[part]) for part in CELL) for one in chosen]
    found = {name: browser.execute_script(CLASHES, name) for name in names}
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_an_effect_of_0_on_a_logarithmic_axis_is_apart_from_the_margin(
    browser: Any, tmp_path: Path
) -> None:
    exact = {"low": None, "high": None, "level": None, "p": None}
    none = effect(value=0.0, margin=1e-12, **exact)
    show(browser, tmp_path, [row(effects=[none])])
    find(browser, "td > button")[0].click()
    drawn = find(browser, "article svg")[0]
    dot, margin = (
        float(drawn.find_element(By.CSS_SELECTOR, part).get_attribute(place))
        for part, place in (("circle.dot", "cx"), ("line.bound", "x1"))
    )
    assert dot < margin - 50
    assert "0" in drawn.text.split("\n")


def test_the_chosen_rate_of_a_search_is_named_and_both_axes_have_ticks(
    browser: Any, tmp_path: Path
) -> None:
    walk = [[n, 1.5 + 0.01 * n] for n in (1, 2, 4)]
    search = {"criterion": "loss", "rate": 0.3, "passes": 1, "value": 1.51}
    search |= {"is_interior": True, "edge": "", "gain": 0.0}
    rates = (0.01, 0.03, 0.1, 0.3)
    curves = [[rate, [[n, y + 1e-4 * rate] for n, y in walk]] for rate in rates]
    details = {"searches": [search | {"curves": curves}]}
    show(browser, tmp_path, [row(details=details)])
    find(browser, "td > button")[0].click()
    drawn = find(browser, "article figure")[-1]
    assert drawn.text.startswith("GD's rate and passes")
    texts = drawn.text.split("\n")
    assert "0.3" in texts  # other lines end in the same place
    assert {"1", "2"} <= {*texts}
    assert any(text.startswith("1.5") for text in texts)
