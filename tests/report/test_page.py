"""The page in a real browser: it opens alone, obeys mouse and keys, and is legible.

Skipped where there is no Chromium with its driver: ``.ci/run`` installs both.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from probes.report.page import matrix_page
from probes.results.rows import Row
from tests.support.browser import (
    as_new,
    browser,
    faint_texts,
    faults_of,
    find,
    media,
    needs_browser,
    screen,
    sent_addresses,
    show,
    show_text,
    wait_until_ready,
)
from tests.support.rows import HOSTILE, effect, hostile_row, hostile_run, row, run_of

pytestmark = needs_browser
__all__ = ["as_new", "browser"]  # fixtures, for pytest to find

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "src/probes/results/row.schema.json").read_text()
)


def example() -> list[dict[str, Any]]:
    likeliest = [[f"▁word{i}", round(0.5 / 2**i, 4)] for i in range(10)]
    shown = {"prompt": "News: rain\nType:", "answer": "▁word1", "icl": likeliest}
    return [shown | {"gd": likeliest[::-1]}]


def shipped() -> list[Row]:
    """Imitate a small matrix: two kinds of network, two variants, two papers."""
    sets = [0.11, 0.2, 0.31, 0.15, 0.22]
    arms = [effect(name=f"accuracy: {arm}", value=v) for arm, v in (("ICL", 0.6),)]
    arms.append(effect(name="accuracy: GD", value=0.3, margin=None))
    share = effect(floor=0.1, ceiling=0.8, margin=0.1, value=-0.2, low=-0.4, sets=sets)
    exact = effect(value=3e-15, low=None, high=None, level=None, margin=1e-12, p=None)
    rows = [
        row(
            claim=f"same_answer[{variant}]",
            model=model,
            kind=kind,
            n_demonstrations=n,
            verdict=verdict,
            source="Dai et al. 2023; disputed by Shen et al. 2024",
            effects=[effect(sets=sets), *arms],
            example=example() if model == "llama" else None,
        )
        for variant in ("gd", "adam")
        for model, kind, verdict in (
            ("llama", "pretrained", "refuted"),
            ("spoiled", "constructed", "supported"),
        )
        for n in (4, 8)
    ]
    nearest = row(claim="nearest", source="Fu et al. 2023", effects=[share])
    by_hand = {"model": "by_hand", "kind": "constructed", "dataset": "cb"}
    crashed = {"dataset": "rte", "verdict": "error", "alone": "error", "effects": []}
    changed = {"effects": [exact], "expected": "refuted", "outcome": "failed"}
    rows += [nearest, nearest | by_hand | changed]
    rows.append(nearest | crashed | {"reason": "OutOfMemoryError: 3 GiB"})
    return rows


def entry(browser: Any, line: int, model: str) -> Any:
    """Return the button of a line of the matrix under a model's name."""
    names = [
        th.text.split("\n")[0] for th in find(browser, "#matrix thead th[scope=col]")
    ]
    cells = find(browser, f"tr[data-line='{line}'] > *")
    return cells[names.index(model)].find_element(By.CSS_SELECTOR, "button")


def choose(browser: Any, name: str, value: str) -> str:
    """Set a filter as a hand does, and return how many cells are shown."""
    box = browser.find_element(By.ID, f"by-{name}")
    box.send_keys(value)
    return str(browser.find_element(By.ID, "shown").text)


def open_everything(browser: Any) -> None:
    for selector in ("th > button.claim", "td > button"):
        for button in find(browser, f"tr[data-line] > {selector}"):
            browser.execute_script("arguments[0].click()", button)
    for button in find(browser, ".inside td > button[aria-expanded=false]"):
        browser.execute_script("arguments[0].click()", button)
    script = "document.querySelectorAll('details').forEach((d) => (d.open = true))"
    browser.execute_script(script)


def test_the_page_opens_from_disk_without_network_and_without_complaint(
    browser: Any, tmp_path: Path
) -> None:
    show(browser, tmp_path, shipped())
    open_everything(browser)
    (address,) = sent_addresses(browser)
    assert address.startswith("file:")
    assert browser.get_log("browser") == []


def test_a_click_opens_a_cell_with_its_numbers_and_its_rerun_command(
    browser: Any, tmp_path: Path
) -> None:
    show(browser, tmp_path, shipped())
    entry(browser, 0, "llama").click()
    find(browser, ".cells td > button")[0].click()
    shown = browser.find_element(By.TAG_NAME, "article").text
    assert "refuted: sst2, 4 demonstrations" in shown
    assert "distance: 0.2 nats, 90 % interval [0.1, 0.3], margin 0.5" in shown
    assert 'pytest "claims/test_a.py::test_b[c-d-4]"' in shown
    for title in ("Effect", "By number of demonstrations", "Competing learners"):
        assert title in shown
    for title in ("other networks", "Arms: accuracy", "Example query 1", "All numbers"):
        assert title in shown


def test_keys_alone_open_a_cell_and_escape_closes_it_where_it_was(
    browser: Any, tmp_path: Path
) -> None:
    show(browser, tmp_path, shipped())
    first = entry(browser, 0, "llama")
    browser.execute_script("arguments[0].focus()", first)
    first.send_keys(Keys.ENTER)
    for _ in range(20):  # the panel comes after the entries of its line
        active = browser.switch_to.active_element
        if active.find_elements(By.XPATH, "ancestor::*[@class='inside']"):
            break
        active.send_keys(Keys.TAB)
    active.send_keys(Keys.SPACE)
    assert len(find(browser, "article")) == 1
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert find(browser, "article") == []
    assert browser.switch_to.active_element == first


@pytest.mark.parametrize(
    ("name", "value", "n"),
    [
        ("verdict", "refuted", 4),
        ("verdict", "unexpected", 2),
        ("kind", "constructed", 5),
        ("model", "llama", 6),
        ("dataset", "rte", 1),
        ("paper", "Shen", 8),
        ("text", "OUTOFMEMORY", 1),
        ("text", "adam", 4),
    ],
)
def test_a_filter_leaves_the_cells_that_match(
    browser: Any, tmp_path: Path, name: str, value: str, n: int
) -> None:
    show(browser, tmp_path, shipped())
    assert choose(browser, name, value) == f"{n} of 11 cells shown"
    browser.find_element(By.CSS_SELECTOR, "button[type=reset]").click()
    wanted = "11 of 11 cells shown"
    WebDriverWait(browser, 5).until(
        lambda b: b.find_element(By.ID, "shown").text == wanted
    )


def test_a_filter_hides_empty_lines_and_columns_and_recounts_letters(
    browser: Any, tmp_path: Path
) -> None:
    show(browser, tmp_path, shipped())
    before = entry(browser, 1, "llama").text
    choose(browser, "dataset", "rte")
    heads = [th.text for th in find(browser, "#matrix thead th") if th.is_displayed()]
    assert [head.split("\n")[0] for head in heads] == ["pretrained", "claim", "llama"]
    lines = find(browser, "#matrix tbody tr[data-line]")
    assert [line.is_displayed() for line in lines] == [False, True]
    assert (before, entry(browser, 1, "llama").text) == ("S1E1! −.2", "E!")


def test_an_address_brings_back_filters_and_open_cells(
    browser: Any, tmp_path: Path
) -> None:
    address = show(browser, tmp_path, shipped())
    choose(browser, "kind", "pretrained")
    entry(browser, 0, "llama").click()
    find(browser, ".cells td > button")[1].click()
    state = browser.execute_script("return location.hash")
    browser.get("about:blank")
    browser.get(address + state)
    wait_until_ready(browser)
    assert browser.find_element(By.ID, "shown").text == "6 of 11 cells shown"
    assert "8 demonstrations" in browser.find_element(By.CSS_SELECTOR, "h4").text


def downloaded(browser: Any, button: str, name: str) -> str:
    path = browser.downloads / name
    path.unlink(missing_ok=True)
    browser.find_element(By.ID, button).click()
    # The browser holds the name by an empty file until all is there.
    WebDriverWait(browser, 10).until(lambda _: path.exists() and path.stat().st_size)
    return str(path.read_bytes().decode("utf-8"))


def test_the_rows_that_are_shown_can_be_downloaded(
    browser: Any, tmp_path: Path
) -> None:
    rows = shipped()
    show(browser, tmp_path, rows)
    choose(browser, "kind", "constructed")
    lines = downloaded(browser, "as-jsonl", "rows.jsonl").splitlines()
    found = [json.loads(line) for line in lines]
    wanted = [r for r in rows if r["kind"] == "constructed"]
    for ours, theirs in zip(found, wanted, strict=True):
        Draft202012Validator(SCHEMA).validate(ours)
        assert {k: v for k, v in theirs.items() if k not in ("effects", "example")} == {
            k: v for k, v in ours.items() if k != "effects"
        }
        assert theirs["effects"][0].items() <= ours["effects"][0].items()
    table = [*csv.DictReader(downloaded(browser, "as-csv", "rows.csv").splitlines())]
    assert [line["claim"] for line in table] == [r["claim"] for r in wanted]
    assert [float(line["effect_value"]) for line in table] == [0.2] * 4 + [3e-15]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_shown_as_text_and_runs_nowhere(
    browser: Any, tmp_path: Path, name: str
) -> None:
    text = HOSTILE[name]
    rows = [hostile_row(text), row(claim="tame")]
    rows[0]["example"] = [{**example()[0], "prompt": text, "answer": text}]
    path = tmp_path / "index.html"
    path.write_text(matrix_page(rows, hostile_run(text, rows)), "utf-8")
    browser.get(path.as_uri())
    wait_until_ready(browser)
    open_everything(browser)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.scripts.length") == 2
    assert len(find(browser, "article")) == 2
    if name in ("script", "closing", "pipes", "jinja"):
        assert any(text in article.text for article in find(browser, "article"))
    assert json.loads(downloaded(browser, "as-jsonl", "rows.jsonl").splitlines()[0])
    lines = downloaded(browser, "as-csv", "rows.csv")
    assert len([*csv.reader(lines.splitlines(keepends=True))]) == 3


FORMULAS = ("=HYPERLINK(1)", "-1+1", "@x", "+1", "  =1+1", "|calc", "＝1+1")


def test_a_text_that_begins_like_a_formula_is_no_formula_in_the_csv(
    browser: Any, tmp_path: Path
) -> None:
    rows = [row(note=text, reason=text, dataset=text) for text in FORMULAS]
    show(browser, tmp_path, rows)
    lines = csv.DictReader(downloaded(browser, "as-csv", "rows.csv").splitlines())
    for line, text in zip(lines, FORMULAS, strict=True):
        found = {line[name] for name in ("note", "reason", "dataset")}
        assert found == {f"'{text}"}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_contrasts_with_what_is_behind_it(
    browser: Any, tmp_path: Path, theme: str
) -> None:
    media(browser, theme)
    show(browser, tmp_path, shipped())
    open_everything(browser)
    n_texts, faint = faint_texts(browser)
    assert n_texts > 200
    assert faint == []


def test_no_serious_fault_of_accessibility(browser: Any, tmp_path: Path) -> None:
    show(browser, tmp_path, shipped())
    open_everything(browser)
    assert faults_of(browser) == []


def test_the_page_fits_a_phone(browser: Any, tmp_path: Path) -> None:
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    show(browser, tmp_path, shipped())
    open_everything(browser)
    wide = "return document.documentElement.scrollWidth"
    assert browser.execute_script(wide) <= 390
    assert max(svg.size["width"] for svg in find(browser, "article svg")) <= 390


def test_on_paper_the_controls_are_gone_and_what_is_open_stays(
    browser: Any, tmp_path: Path
) -> None:
    show(browser, tmp_path, shipped())
    entry(browser, 0, "llama").click()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not browser.find_element(By.ID, "filters").is_displayed()
    assert browser.find_element(By.CLASS_NAME, "inside").is_displayed()


def test_the_matrix_needs_no_scripts(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(matrix_page(shipped(), run_of(shipped())), "utf-8")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(path.as_uri())
    assert browser.find_element(By.TAG_NAME, "h1").text.startswith("On 1 pretrained")
    assert "Scripts are off" in browser.find_element(By.TAG_NAME, "noscript").text
    assert [b.text for b in find(browser, "tr[data-line='1'] b")] == ["S1", "E1", "S"]


SAMPLE = Path(__file__).parents[2] / "reports/sample"


def sample() -> tuple[list[Row], dict[str, Any]]:
    lines = (SAMPLE / "results.jsonl").read_text("utf-8").splitlines()
    run: dict[str, Any] = json.loads((SAMPLE / "run.json").read_text("utf-8"))
    return [json.loads(line) for line in lines], run


def test_one_screen_has_the_answer_the_chart_and_twenty_claims_on_all_models(
    browser: Any, tmp_path: Path
) -> None:
    screen(browser, 1400, 900)
    show_text(browser, tmp_path, matrix_page(*sample()))
    region = browser.find_element(By.CLASS_NAME, "scroll")
    wide = "return arguments[0].scrollWidth - arguments[0].clientWidth"
    assert browser.execute_script(wide, region) == 0
    heads = find(browser, "#matrix thead th[data-kind]:not([colspan])")
    assert len(heads) == 17
    assert heads[0].text.startswith(("hmm_llama", "text_llama"))
    bottom = "return arguments[0].getBoundingClientRect().bottom"
    seen = [
        line
        for line in find(browser, "tr[data-line]")
        if browser.execute_script(bottom, line) <= 900
    ]
    assert len(seen) >= 20
    assert all(line.find_elements(By.CSS_SELECTOR, "td b") for line in seen)
    for part in ("h1", ".answer", ".chart svg.wide", ".chart figcaption", "#filters"):
        found = browser.find_element(By.CSS_SELECTOR, part)
        assert browser.execute_script(bottom, found) <= 900
    assert "Inconclusive: " in browser.find_element(By.CLASS_NAME, "answer").text


CUT = """
return [...document.querySelectorAll(arguments[0])].filter((part) => {
  const range = document.createRange();
  range.selectNodeContents(part);
  const [own, text] = [part.getBoundingClientRect(), range.getBoundingClientRect()];
  return text.right > own.right + 1 || text.bottom > own.bottom + 3;
}).map((part) => part.textContent);
"""


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (390, 844)])
def test_no_name_and_no_effect_is_cut(
    browser: Any, tmp_path: Path, width: int, height: int
) -> None:
    screen(browser, width, height)
    show_text(browser, tmp_path, matrix_page(*sample()))
    script = "document.querySelectorAll('td small').forEach((part) => part.remove())"
    assert browser.execute_script(CUT, "button.claim, thead th") == []
    browser.execute_script(script)  # a range may wrap out of sight
    assert browser.execute_script(CUT, "td > button") == []


def test_what_a_filter_leaves_is_drawn_at_once_on_the_screen_and_soon_below_it(
    browser: Any, tmp_path: Path
) -> None:
    screen(browser, 1400, 900)
    cells = [("refuted", 4, 0.9), ("supported", 8, 0.1)]
    rows = [
        row(
            claim=f"claim_{i:03}",
            verdict=v,
            n_demonstrations=n,
            effects=[effect(value=x)],
        )
        for i in range(200)
        for v, n, x in cells
    ]
    show(browser, tmp_path, rows)
    script = """
    const box = document.getElementById("by-verdict");
    box.value = "refuted";
    box.dispatchEvent(new Event("input", {bubbles: true}));
    const drawn = [0, 199].map((i) => entries[i].button.textContent);
    return [drawn, stale.size > 0];
    """
    assert browser.execute_script(script) == [["R .9", "S1R1 .5"], True]
    left = "return stale.size"
    WebDriverWait(browser, 10).until(lambda b: not b.execute_script(left))
    texts = "return entries.map(({button}) => button.textContent)"
    assert set(browser.execute_script(texts)) == {"R .9"}


def test_a_claim_has_its_title_and_its_id_is_in_reach(
    browser: Any, tmp_path: Path
) -> None:
    titled = row(claim="same_answer[gd_middle_W_V]", title="Same answers")
    show(browser, tmp_path, [titled, row(claim="no_title_of_gd")])
    buttons = find(browser, "button.claim")
    assert [b.text for b in buttons] == ["Same answers", "No title of GD"]
    assert buttons[0].get_attribute("title").endswith("Id: same_answer")
    entry(browser, 0, "llama").click()
    assert browser.find_element(By.TAG_NAME, "h3").text == (
        "Same answers (GD middle W_V) on llama same_answer[gd_middle_W_V]"
    )
    assert choose(browser, "text", "same_answer[gd") == "1 of 2 cells shown"
    line = json.loads(downloaded(browser, "as-jsonl", "rows.jsonl"))
    assert line["title"] == "Same answers"


def test_the_chart_says_what_a_margin_is_and_the_cell_why_it_is_so_large(
    browser: Any, tmp_path: Path
) -> None:
    why = "a third of the .29 that the paper reports"
    show(browser, tmp_path, [row(margin_reason=why), row(claim="silent")])
    caption = browser.find_element(By.CSS_SELECTOR, ".chart figcaption").text
    assert caption.startswith("Margin: the largest difference that counts as equal")
    for line in (0, 1):
        entry(browser, line, "llama").click()
    said = [p.text for p in find(browser, "article .margin")]
    assert said[0].startswith(
        "Why a margin of .5 (target: below .5): A third of the .29 that the paper"
    )
    assert "The claim says why, in claims/test_a.py." in said[1]
    line = downloaded(browser, "as-jsonl", "rows.jsonl").splitlines()[0]
    assert json.loads(line)["margin_reason"] == why


def test_what_a_number_is_stands_beside_the_claim_and_at_each_entry(
    browser: Any, tmp_path: Path
) -> None:
    name = "token overlap, share of the way from floor to ceiling"
    share = effect(name=name, unit="fraction", floor=0.1, ceiling=0.8, margin=0.1)
    size = effect(name="prediction distance", unit="answer size")
    rows = [row(effects=[share]), row(claim="size", effects=[size])]
    show(browser, tmp_path, rows)
    beside = [part.text for part in find(browser, ".quantity")]
    assert beside == [
        "prediction distance, × answer size; target: below .5",
        "token overlap (no learning 0, ICL 1); target: at least .9",
    ]
    hover = """
    entries[0].button.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
    return entries[0].button.title;
    """
    assert browser.execute_script(hover) == (
        "S .2: prediction distance, × answer size; target: below .5"
    )
    many = [row(model=f"m{i}", effects=[share]) for i in range(16)]
    show(browser, tmp_path, many)  # no room beside the claim
    assert not find(browser, ".quantity")[0].is_displayed()
    title = find(browser, "button.claim")[0].get_attribute("title")
    assert "Number: token overlap (no learning 0, ICL 1); target: at least .9." in title


def test_a_cell_names_its_target_wherever_it_shows_its_number(
    browser: Any, tmp_path: Path
) -> None:
    name = "token overlap, share of the way from floor to ceiling"
    share = effect(name=name, unit="fraction", floor=0.1, ceiling=0.8, margin=0.1)
    show(browser, tmp_path, [row(effects=[share]), row(effects=[share], dataset="cb")])
    entry(browser, 0, "llama").click()
    above = browser.find_element(By.CSS_SELECTOR, ".inside .what").text
    assert above == "Number: token overlap (no learning 0, ICL 1); target: at least .9."
    find(browser, ".cells td > button")[0].click()
    article = browser.find_element(By.TAG_NAME, "article")
    browser.execute_script("arguments[0].querySelector('details').open = true", article)
    heads = [th.text for th in article.find_elements(By.CSS_SELECTOR, ".numbers th")]
    numbers = [td.text for td in article.find_elements(By.CSS_SELECTOR, ".numbers td")]
    assert numbers[heads.index("target") - 1] == "at least .9"
    labels = [text.text for text in article.find_elements(By.CSS_SELECTOR, "svg text")]
    assert {"no learning (0.1)", "ICL (0.8)", "target: from 0.9"} <= {*labels}


def test_no_text_of_the_page_says_undecided_or_share_of_the_way(
    browser: Any, tmp_path: Path
) -> None:
    show_text(browser, tmp_path, matrix_page(*sample()))
    opened = """
    const own = (row) => text(mainEffect(row)?.name ?? 0).includes("share of the way");
    const entry = entries.find(({picked}) => picked.some(own));
    entry.button.click();
    document.querySelector(".cells td > button").click();
    document.querySelectorAll("details").forEach((d) => (d.open = true));
    document.querySelectorAll("script").forEach((s) => s.remove());
    return document.documentElement.outerHTML;
    """
    shown = browser.execute_script(opened).lower()
    assert "<article>" in shown
    assert "inconclusive" in shown
    assert "undecided" not in shown
    assert "share of the way" not in shown


def test_an_option_and_the_legend_name_the_verdict_as_the_rows_do(
    browser: Any, tmp_path: Path
) -> None:
    cells = [row(verdict=v, alone=v, dataset=v) for v in ("inconclusive", "refuted")]
    show(browser, tmp_path, cells)
    parts = ("h1", ".answer", ".legend", "thead .held", ".chart figcaption")
    for part in (*parts, "#by-verdict"):
        found = browser.find_element(By.CSS_SELECTOR, part)
        assert "inconclusive" in found.text.lower(), part


def test_every_network_has_its_name_in_the_chart(browser: Any, tmp_path: Path) -> None:
    screen(browser, 1400, 900)
    few = [row(model=name) for name in ("gemma3_270m", "smollm2_135m")]
    show(browser, tmp_path, few)
    assert [t.text for t in find(browser, "svg.wide .lane")] == [
        "gemma3_270m",
        "smollm2_135m",
    ]
    many = [row(model=f"learned_{i}", kind="learned") for i in range(9)]
    show(browser, tmp_path, many)
    assert [t.text for t in find(browser, "svg.wide .lane") if t.is_displayed()] == [
        "9 learned"
    ]
    browser.find_element(By.CSS_SELECTOR, ".chart summary").click()
    names = [t.text for t in find(browser, "details svg.wide .lane")]
    assert names == [f"learned_{i}" for i in range(9)]


@pytest.mark.parametrize("width", [390, 800, 1150, 1400])
def test_columns_of_networks_keep_their_room(
    browser: Any, tmp_path: Path, width: int
) -> None:
    screen(browser, width, 900)
    show(browser, tmp_path, [row(model=name) for name in ("gemma", "smollm2")])
    heads = find(browser, "#matrix thead th[data-kind]:not([colspan])")
    assert all(head.size["width"] >= 80 for head in heads)


def test_the_forest_of_a_claim_names_network_and_variant(
    browser: Any, tmp_path: Path
) -> None:
    screen(browser, 1400, 900)
    show(browser, tmp_path, shipped())
    find(browser, "tr[data-line='0'] button.claim")[0].click()
    browser.execute_script("document.querySelector('.inside details').open = true")
    labels = {text.text for text in find(browser, ".inside svg text")}
    assert {"llama · GD · sst2 · 4", "spoiled · Adam · sst2 · 8"} <= labels


def test_a_crowded_whisker_appears_when_its_dot_is_pointed_at(
    browser: Any, tmp_path: Path
) -> None:
    screen(browser, 1400, 900)
    wide = [effect(value=0.3, low=0.01, high=0.9)]
    show(browser, tmp_path, [row(claim=f"c{i}", effects=wide) for i in range(60)])
    whisker = find(browser, "svg.wide .whisker.crowded")[0]
    dot = whisker.find_element(By.XPATH, "../*[@class='dot S']")
    assert whisker.value_of_css_property("opacity") == "0"
    ActionChains(browser).move_to_element(dot).perform()
    assert whisker.value_of_css_property("opacity") == "1"
    ActionChains(browser).move_by_offset(-600, 300).perform()


def test_script_and_server_write_the_same_entries(browser: Any, tmp_path: Path) -> None:
    show_text(browser, tmp_path, matrix_page(*sample()))
    script = """
    return entries.map(({button, picked}) => {
      const before = button.outerHTML.replace(/ aria-[a-z]+="[^"]*"/g, "");
      const drawn = document.createElement("button");
      drawEntry(drawn, picked);
      return [before, drawn.outerHTML];
    });
    """
    drawn = browser.execute_script(script)
    assert len(drawn) > 100
    assert [pair for pair in drawn if pair[0] != pair[1].replace(' class=""', "")] == []


def test_a_claim_opens_with_its_sentence_and_a_line_for_each_variant(
    browser: Any, tmp_path: Path
) -> None:
    show(browser, tmp_path, shipped())
    button = find(browser, "tr[data-line='0'] button.claim")[0]
    button.click()
    assert [th.text for th in find(browser, "tr.variant th")] == ["GD", "Adam"]
    assert "Both agree." in browser.find_element(By.CLASS_NAME, "inside").text
    find(browser, "tr.variant td > button")[0].click()
    find(browser, ".cells td > button")[0].click()
    assert "same_answer[gd]" in [code.text for code in find(browser, "h3 > code")]
    assert len(find(browser, "article")) == 1
    button.click()
    assert find(browser, "tr.variant") == find(browser, ".inside") == []


@pytest.mark.parametrize(
    ("order", "titles"),
    [
        ("paper", ["Dai et al. 2023", "Fu et al. 2023"]),
        ("verdict", ["supported", "refuted"]),
        ("file", ["claims/test_a.py"]),
    ],
)
def test_lines_are_grouped_as_chosen_and_back_again(
    browser: Any, tmp_path: Path, order: str, titles: list[str]
) -> None:
    show(browser, tmp_path, shipped())
    heads = "[...document.querySelectorAll('#matrix tbody th')]"
    script = f"return {heads}.map((head) => head.textContent)"
    before = browser.execute_script(script)
    choose_order = """
    const box = document.getElementById("by-order");
    box.value = arguments[0];
    box.dispatchEvent(new Event("input", {bubbles: true}));
    """
    browser.execute_script(choose_order, order)
    assert [th.text for th in find(browser, "tbody.group th")] == titles
    assert f"order={order}" in browser.execute_script("return location.hash")
    browser.execute_script(choose_order, "")
    assert browser.execute_script(script) == before


def test_a_cell_says_what_was_found_and_what_would_decide_it(
    browser: Any, tmp_path: Path
) -> None:
    between = effect(value=0.118, low=0.067, high=0.169, margin=0.05)
    undecided = row(
        verdict="inconclusive",
        effects=[between | {"has_two_sides": True}],
        p_refuted=0.078,
        reason="the interval straddles; about 35 sets would decide it alone (25 more)",
    )
    show(browser, tmp_path, [undecided])
    entry(browser, 0, "llama").click()
    said = browser.find_element(By.TAG_NAME, "article").text
    assert "95 % interval [.02, .18]; a difference" in said
    assert "What would decide it: More demonstration sets: --sets 35" in said
    assert "difference below .05 nats would have counted as equal" in said
    lines = find(browser, "article svg line.path")
    assert len(lines) == 3  # the wider interval with its two ends


def test_the_page_counts_rows_and_warns_of_test_rows_that_are_train_rows(
    browser: Any, tmp_path: Path
) -> None:
    counted = {"train": {"good": 3, "bad": 1}, "test": {"bad": 2}, "repeated": 1}
    run = run_of(shipped(), datasets={"moods": counted})
    show_text(browser, tmp_path, matrix_page(shipped(), run))
    warning = browser.find_element(By.CLASS_NAME, "warning")
    assert warning.is_displayed()
    assert warning.text.startswith("Warning: 1 of the 2 test rows of moods")
    browser.execute_script("document.querySelector('.facts-of-run').open = true")
    assert "Rows of moods: train 4" in browser.find_element(By.TAG_NAME, "main").text


def test_a_dot_of_the_chart_opens_its_claim(browser: Any, tmp_path: Path) -> None:
    show(browser, tmp_path, shipped())
    dot = find(browser, ".wide g[data-name='same_answer'] circle")[0]
    dot.click()
    assert "same_answer" in browser.find_element(By.CLASS_NAME, "inside").text


@pytest.mark.parametrize(
    ("n_claims", "n_models", "n_each", "most"),
    [(25, 10, 20, 1.0), (100, 50, 1, 1.5), (100, 10, 20, 3.0)],
)
def test_thousands_of_cells_open_and_filter_at_once(
    browser: Any, tmp_path: Path, n_claims: int, n_models: int, n_each: int, most: float
) -> None:
    rows = [
        row(
            claim=f"claim_{c}",
            model=f"model_{m}",
            n_demonstrations=2**n,
            verdict=("supported", "refuted", "inconclusive")[(c + m + n) % 3],
            effects=[effect(value=c / 7, sets=[m / 7] * 10)] * 4,
        )
        for c in range(n_claims)
        for m in range(n_models)
        for n in range(n_each)
    ]
    # The aim for 5,000 cells is 1 s. On a core of its own, 5,000 entries of one cell
    # each took .3 to .5 s on the clock; beside other work, more of the processor too.
    assert opening_seconds(browser, tmp_path, rows) <= most
    assert min(filter_seconds(browser, v) for v in ("refuted", "supported")) <= 0.2


def opening_seconds(browser: Any, folder: Path, rows: list[Row]) -> float:
    """Measure the processor time that the page takes until it is ready."""
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    show(browser, folder, rows)
    return processor_seconds(browser)


def processor_seconds(browser: Any) -> float:
    """Read how long the page's thread has worked.

    Other work on the machine stretches the time on the clock, but hardly this one.
    """
    metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    found = {metric["name"]: float(metric["value"]) for metric in metrics}
    return found["TaskDuration"]


def filter_seconds(browser: Any, verdict: str) -> float:
    """Time a filter from the choice until the page is laid out again."""
    before = processor_seconds(browser)
    script = """
    const box = document.getElementById("by-verdict");
    box.value = arguments[0];
    box.dispatchEvent(new Event("input", {bubbles: true}));
    document.body.offsetHeight;
    """
    browser.execute_script(script, verdict)
    return processor_seconds(browser) - before
