"""The page on a narrow screen: the answer and the chart first, the filters folded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.support.browser import (
    as_new,
    browser,
    faint_texts,
    faults_of,
    find,
    media,
    needs_browser,
    screen,
    show,
)
from tests.support.rows import effect, row

pytestmark = needs_browser
__all__ = ["as_new", "browser"]  # fixtures, for pytest to find

ROWS = [row(model=m, effects=[effect(floor=0.1, ceiling=0.9)]) for m in ("a", "b")]
PHONE = (375, 812)


def height_of_filters(browser: Any) -> float:
    form = browser.find_element(By.ID, "filters")
    return float(form.size["height"])


def test_folded_filters_take_one_row_after_the_answer_and_the_chart(
    browser: Any, tmp_path: Path
) -> None:
    screen(browser, *PHONE)
    show(browser, tmp_path, ROWS)
    assert height_of_filters(browser) < 50
    top = "return arguments[0].getBoundingClientRect().top"
    parts = ("h1", ".answer", ".chart svg.narrow", "#fold", ".scroll")
    tops = [
        browser.execute_script(top, browser.find_element(By.CSS_SELECTOR, part))
        for part in parts
    ]
    assert tops == sorted(tops)
    assert tops[-1] < PHONE[1]
    assert browser.find_element(By.ID, "shown").is_displayed()


SIZES = """
const found = [...document.querySelectorAll(".chart svg text")].filter((text) =>
  text.getBoundingClientRect().width);
return found.map((text) => {
  const {left, right, top, bottom} = text.getBoundingClientRect();
  const svg = text.ownerSVGElement;
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  const size = parseFloat(getComputedStyle(text).fontSize) * scale;
  return [text.textContent, size, left, right, top, bottom];
});
"""


@pytest.mark.parametrize("size", [(360, 740), (390, 844), (800, 900), (1400, 900)])
def test_texts_of_the_chart_are_large_enough_and_apart(
    browser: Any, tmp_path: Path, size: tuple[int, int]
) -> None:
    screen(browser, *size)
    kinds = ("pretrained", "learned", "untrained", "constructed")
    show(browser, tmp_path, [row(model=kind, kind=kind) for kind in kinds])
    texts = browser.execute_script(SIZES)
    assert {text[0] for text in texts} >= {*kinds, "margin", "32×"}
    assert min(text[1] for text in texts) >= 11
    for i, (_, _, left, right, top, bottom) in enumerate(texts):
        assert 0 <= left < right <= size[0]
        for name, _, left_2, right_2, top_2, bottom_2 in texts[:i]:
            is_apart = left >= right_2 or left_2 >= right
            assert is_apart or top >= bottom_2 - 2 or top_2 >= bottom - 2, name


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_contrasts_on_a_phone(
    browser: Any, tmp_path: Path, theme: str
) -> None:
    screen(browser, 390, 844)
    media(browser, theme)
    show(browser, tmp_path, ROWS)
    n_texts, faint = faint_texts(browser)
    assert n_texts > 30
    assert faint == []


def test_a_key_unfolds_the_filters_and_they_work(browser: Any, tmp_path: Path) -> None:
    screen(browser, *PHONE)
    show(browser, tmp_path, ROWS)
    button, box = (browser.find_element(By.ID, name) for name in ("fold", "by-model"))
    assert not box.is_displayed()
    button.send_keys(Keys.ENTER)
    assert box.is_displayed()
    assert button.get_attribute("aria-expanded") == "true"
    box.send_keys("b")
    assert browser.find_element(By.ID, "shown").text == "1 of 2 cells shown"
    assert faults_of(browser) == []
    button.send_keys(Keys.ENTER)
    assert not box.is_displayed()
    assert button.text.startswith("Filters (1 set)")


def test_an_address_with_filters_says_so_while_they_are_folded(
    browser: Any, tmp_path: Path
) -> None:
    screen(browser, *PHONE)
    show(browser, tmp_path, ROWS, "#model=b&order=paper")
    assert browser.find_element(By.ID, "fold").text.startswith("Filters (2 set)")
    assert browser.find_element(By.ID, "shown").text == "1 of 2 cells shown"


def test_a_wide_screen_shows_the_filters_without_a_button(
    browser: Any, tmp_path: Path
) -> None:
    screen(browser, 1400, 900)
    show(browser, tmp_path, ROWS)
    assert not browser.find_element(By.ID, "fold").is_displayed()
    assert all(box.is_displayed() for box in find(browser, "#filters select"))


def test_an_open_cell_is_no_wider_than_the_matrix(browser: Any, tmp_path: Path) -> None:
    wide = "return arguments[0].scrollWidth - arguments[0].clientWidth"
    many = [row(claim=f"claim_{i}") for i in range(60)]  # more than one screen
    screen(browser, 1400, 900)
    show(browser, tmp_path, many)
    find(browser, "tr[data-line] td > button")[0].click()
    assert find(browser, ".inside")
    region = browser.find_element(By.CLASS_NAME, "scroll")
    assert browser.execute_script(wide, region) == 0
