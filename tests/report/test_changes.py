"""The page of changes: what changed between two runs, by how much, and safely."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from probes.cell import Settings
from probes.cli.compare_command import compare_runs
from probes.cli.main import main
from probes.report.changes import PAGE, RunComparison, changes_page, write_changes
from probes.report.effect_scatter import drawn_scatter, pairs_of
from probes.report.interval_axis import WIDTH, place_intervals, zone_of
from probes.results.comparison import CellResult, Change, effect_shift
from probes.results.record import Record
from probes.results.rows import Row, row_id
from tests.support.browser import (
    as_new,
    browser,
    faint_texts,
    faults_of,
    find,
    media,
    needs_browser,
    sent_addresses,
    show_text,
)
from tests.support.rows import HOSTILE, Reader, effect, hostile_row, row, run_of

__all__ = ["as_new", "browser"]  # fixtures, for pytest to find


def compared(*runs: list[Row]) -> RunComparison:
    names = ["old/results.jsonl", "new/results.jsonl", "newest/results.jsonl"]
    sides = [{row_id(r): r for r in rows} for rows in runs]
    found = compare_runs(names[: len(runs)], sides)
    return replace(found, differs={"n_orders": ("0", "1", "2")[: len(runs)]})


def two_runs() -> tuple[list[Row], list[Row]]:
    """Imitate two runs with one change of every kind."""
    wide = effect(value=0.4, low=0.3, high=0.5)
    near = effect(value=0.25)
    kinds: dict[str, tuple[Row | None, Row | None]] = {
        "opposite": (row(), row(verdict="refuted", effects=[wide])),
        "lost": (row(), row(verdict="error", effects=[], reason="OutOfMemoryError")),
        "weakened": (row(), row(verdict="inconclusive", effects=[wide])),
        "strengthened": (row(verdict="inconclusive"), row()),
        "drift": (row(), row(effects=[wide])),
        "new": (None, row()),
        "same": (row(), row(effects=[near])),
    }
    sides: tuple[list[Row], list[Row]] = ([], [])
    for kind, pair in kinds.items():
        for side, found in zip(sides, pair, strict=True):
            if found is not None:
                side.append(found | {"claim": f"claim_{kind}[gd]"})
    return sides


def fold_variants(text: str) -> list[str]:
    """Return the changed cells of a page, each as one text, in order."""
    table = text[text.index('id="changes"') :].partition("</tbody>")[0]
    lines = table.split('<tr role="row" data-kind')[1:]
    return [
        " ".join(" ".join(shown for _, shown in Reader(f"<tr x{line}").texts).split())
        for line in lines
    ]


def test_every_change_is_shown_with_both_verdicts_and_by_how_much() -> None:
    text = changes_page(compared(*two_runs()))
    lines = fold_variants(text)
    assert [line.split()[0] for line in lines] == [
        *("opposite", "lost", "weakened", "strengthened", "drift", "new")
    ]
    assert "S supported 0.2 [0.1, 0.3] nats R refuted 0.4 [0.3, 0.5] nats" in lines[0]
    assert "+0.2 (2 half-widths)" in lines[0]
    assert "claim_ opposite[gd] llama · sst2 · 4" in lines[0]  # may break after _
    assert 'pytest "claims/test_a.py::test_b[c-d-4]"' in lines[0]
    assert "OutOfMemoryError" in lines[1]
    assert "no cell S supported" in lines[5]


def test_the_first_line_says_what_closes_the_gate() -> None:
    before, after = two_runs()
    first = [t for tag, t in Reader(changes_page(compared(before, after))).texts]
    said = "1 verdict became its opposite, 1 cell lost: 6 of 7 cells changed."
    assert said in first
    text = changes_page(compared(before[3:], before[3:]))
    assert "No verdict became its opposite, and no cell was lost: 0 of 3" in text
    assert 'id="filters"' not in text


def test_settings_that_differ_are_shown_with_the_names_of_the_runs() -> None:
    texts = [t for _, t in Reader(changes_page(compared(*two_runs()))).texts]
    assert {"old/results.jsonl", "new/results.jsonl", "orders", "0 → 1"} <= set(texts)
    same = replace(compared(*two_runs()), differs={})
    assert "All recorded settings and versions are the same." in changes_page(same)


def test_three_runs_stand_side_by_side_and_the_gravest_change_counts() -> None:
    wide = effect(value=0.4, low=0.3, high=0.5)
    refuted = row(verdict="refuted", effects=[wide])
    back = refuted | {"model": "there_and_back"}
    runs = (
        [row(), row(model="gone"), row(model="same"), row(model="there_and_back")],
        [row(effects=[wide]), row(model="same"), row(model="late"), back],
        [refuted, row(model="same"), row(model="late"), row(model="there_and_back")],
    )
    text = changes_page(compared(*runs))
    lines = fold_variants(text)
    assert [line.split()[0] for line in lines] == [
        *("opposite", "opposite", "lost", "new")
    ]
    assert "S supported 0.2 [0.1, 0.3] nats S supported 0.4" in lines[0]
    assert "R refuted 0.4 [0.3, 0.5] nats +0.2 (2 half-widths) +0.2" in lines[0]
    assert "there_and_back" in lines[1]
    assert "no cell no cell" in lines[2]
    assert "no cell S supported 0.2 [0.1, 0.3] nats S supported" in lines[3]
    shown = [t for _, t in Reader(text).texts]
    assert (
        "2 verdicts became their opposites, 1 cell lost: 4 of 5 cells changed." in shown
    )
    assert {"run 1", "run 2", "run 3", "newest/results.jsonl", "0 → 1 → 2"} <= set(
        shown
    )
    assert text.count('class="scatter"') == 2


def test_dots_stand_at_both_effects_in_margins_the_farthest_first() -> None:
    def one(value: float, **given: Any) -> Row:
        shown = effect(value=value, margin=0.1, has_two_sides=True)
        return row(effects=[shown], **given)

    first = [one(0.2), one(0.05, model="b"), one(0.1, model="c", verdict="error")]
    other = [one(0.2), one(0.4, model="b", verdict="refuted"), one(0.1, model="c")]
    other.append(row(model="d"))
    sides = [{row_id(r): r for r in rows} for rows in (first, other)]
    pairs = pairs_of(*sides)
    assert [pair.row["model"] for pair in pairs] == ["b", "llama"]
    assert [pair.first.value for pair in pairs] == pytest.approx([-0.5, 1])
    assert [pair.other.value for pair in pairs] == pytest.approx([3, 1])
    assert [pair.crosses for pair in pairs] == [True, False]
    drawn = drawn_scatter(*sides, {row_id(other[1]): "opposite"})
    assert drawn["summary"] == (
        "2 cells with a margin in both runs; 1 lies on the other side of the margin."
    )
    moved, still = drawn["dots"]
    at = {label: (x, y) for x, y, label in drawn["ticks"]}
    assert at["0"][0] < at["32×"][0]
    assert at["0"][1] > at["32×"][1]  # up
    assert (moved["x"], moved["y"]) == (at["½"][0], at["4×"][1])
    assert (still["x"], still["y"]) == at["2×"]
    assert (moved["kind"], moved["tone"]) == ("opposite", "R")
    assert ".5 → 4 margins, supported → refuted" in moved["text"]


def test_only_so_many_dots_are_drawn_and_the_page_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("probes.report.effect_scatter.MOST_DOTS", 2)
    text = changes_page(compared(*two_runs()))
    assert text.count('<circle class="dot') == 2 + text.count(' r="5"')
    assert "The 2 that moved farthest are drawn." in text


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_a_row_changes_the_structure_of_the_page(name: str) -> None:
    pages = []
    for text in (HOSTILE[name], "tame"):
        rows = [hostile_row(text), hostile_row(text) | {"model": "m"}]
        said = compared([r | {"alone": "supported"} for r in rows], rows)
        pages.append(changes_page(said))
    found, plain = map(Reader, pages)
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in plain.tags]
    assert [[*a] for _, a in found.tags] == [[*a] for _, a in plain.tags]
    assert found.open == []
    pages[0].encode("utf-8")
    assert "x" * 2001 not in pages[0]
    if name in ("script", "closing", "quotes", "pipes", "jinja"):
        assert HOSTILE[name] in [shown for _, shown in found.texts]


def test_the_gravest_are_drawn_and_the_rest_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("probes.report.changes.MOST_DRAWN", 2)
    text = changes_page(compared(*two_runs()))
    assert [line.split()[0] for line in fold_variants(text)] == ["opposite", "lost"]
    assert "4 more changes are not drawn here. None is more serious than these." in text


def change(before: CellResult | None, after: CellResult | None) -> Change:
    return Change(cell="c|m|d|4", kind="drift", before=before, after=after)


def test_a_move_is_shown_in_its_unit_and_in_half_widths() -> None:
    was = CellResult(verdict="refuted", effect=0.5, low=0.4, high=0.6, unit="bits")
    now = CellResult(verdict="refuted", effect=0.8, unit="bits")
    difference, widths = effect_shift(change(was, now))
    assert (difference, widths) == (pytest.approx(0.3), pytest.approx(3.0))
    assert effect_shift(change(now, was)) == (pytest.approx(-0.3), None)
    other = CellResult(verdict="refuted", effect=0.8, unit="nats")
    assert effect_shift(change(was, other)) == (None, None)
    assert effect_shift(change(None, was)) == (None, None)


def test_a_span_stays_in_its_drawing_and_open_ends_reach_its_edge() -> None:
    open_end = CellResult(
        verdict="refuted", effect=0.2, low=None, high=0.3, unit="nats"
    )
    closed = CellResult(verdict="refuted", effect=0.9, low=0.8, high=1.0, unit="nats")
    span = place_intervals([open_end, None, closed], row())
    assert span is not None
    first, lacking, last = span.bars
    assert lacking is None
    assert first is not None
    assert last is not None
    assert (first.low, len(first.caps)) == (0, 1)
    assert 0 < first.at < last.at < last.high < WIDTH
    assert place_intervals([None, CellResult(verdict="error")], row()) is None


def test_tiny_and_large_errors_share_a_logarithmic_axis() -> None:
    sides = [CellResult(verdict="refuted", effect=x, unit="nats") for x in (1e-15, 0.1)]
    span = place_intervals(sides, {})
    assert span is not None
    assert span.is_log
    assert place_intervals([sides[1]] * 2, row()).is_log is False  # type: ignore[union-attr]


def test_the_zone_of_a_claim_is_where_its_rows_scale_says() -> None:
    share = effect(floor=0.1, ceiling=0.8, margin=0.1)
    assert zone_of(row(effects=[share])) == (0.9, None)
    assert zone_of(row()) == (None, 0.5)
    assert zone_of(row(p_supported=0.01, p_refuted=1.0)) == (-0.5, 0.5)
    above = effect(value=0.9, has_two_sides=False)
    assert zone_of(row(effects=[above], p_supported=0.01)) == (0.5, None)
    assert zone_of({}) == (None, None)


# -------------------------------------------------------------------- as a command


def written(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_the_command_draws_the_page_and_reports_other_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = two_runs()
    other = after[0]["provenance"] | {"seed": 7}
    after = [r | {"provenance": other} for r in after]
    paths = [
        str(written(tmp_path / f"{name}.jsonl", rows))
        for name, rows in (("a", before), ("b", after))
    ]
    out = tmp_path / "new" / "page.html"
    assert main(["compare", *paths, "--page", str(out)]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("1 opposite, 1 lost")
    assert "the runs differ in: seed 0 → 7" in printed
    assert "0 → 7" in out.read_text("utf-8")
    (tmp_path / "file").touch()
    assert main(["compare", *paths, "--page", str(tmp_path / "file" / "x.html")]) == 4


def test_the_command_takes_folders_and_several_runs_but_not_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = []
    for name, value in (("a", 0.2), ("b", 0.25), ("c", 0.4)):
        (tmp_path / name).mkdir()
        rows = [row(effects=[effect(value=value)])]
        written(tmp_path / name / "results.jsonl", rows)
        runs.append(str(tmp_path / name))
    assert main(["compare", *runs]) == 0
    printed = capsys.readouterr().out
    assert f"{runs[1]} against {runs[0]}:\n0 opposite" in printed
    assert f"{runs[2]} against {runs[0]}:" in printed
    assert "drift: same_answer · llama · sst2 · 4" in printed
    assert "the runs differ" not in printed
    assert main(["compare", runs[0]]) == 4
    assert "Expected two or more" in capsys.readouterr().err


def test_a_run_that_was_compared_has_the_page_and_other_runs_do_not(
    tmp_path: Path,
) -> None:
    before, after = two_runs()
    record = Record(written(tmp_path / "old.jsonl", before), Settings(), name="old")
    run = run_of(after, record=record.compare(after, after[0]["provenance"]))
    assert write_changes(record, after, run, tmp_path) == tmp_path / PAGE
    assert "1 verdict became its opposite" in (tmp_path / PAGE).read_text("utf-8")
    assert write_changes(None, after, run, tmp_path) is None
    assert not (tmp_path / PAGE).exists()


# -------------------------------------------------------------------- in a browser


@needs_browser
def test_the_page_opens_alone_filters_and_links_to_what_is_shown(
    browser: Any, tmp_path: Path
) -> None:
    text = changes_page(compared(*two_runs()))
    address = show_text(browser, tmp_path, text)
    assert sent_addresses(browser) == {address}
    shown = browser.find_element(By.ID, "shown")
    assert shown.text == "6 of 6 changes shown"
    browser.find_element(By.ID, "by-text").send_keys("OUTOFMEM")
    assert shown.text == "1 of 6 changes shown"
    state = browser.execute_script("return location.hash")
    show_text(browser, tmp_path, text, state)
    assert len([r for r in find(browser, "#changes tbody tr") if r.is_displayed()]) == 1
    browser.find_element(By.ID, "by-text").clear()
    browser.find_element(By.ID, "by-kind").send_keys("drift")
    assert browser.find_element(By.ID, "shown").text.startswith("1 of 6")
    assert browser.get_log("browser") == []


@needs_browser
def test_keys_walk_through_the_dots_and_lead_to_the_line_of_a_cell(
    browser: Any, tmp_path: Path
) -> None:
    address = show_text(browser, tmp_path, changes_page(compared(*two_runs())))
    assert sent_addresses(browser) == {address}
    (figure,) = find(browser, ".scatter")
    after, before, line = figure.find_elements(By.TAG_NAME, "button")
    told = figure.find_element(By.TAG_NAME, "output")
    after.send_keys(Keys.ENTER)
    first = told.text
    assert "→" in first
    assert "margins" in first
    assert len(find(browser, ".dot.chosen")) == 1
    after.send_keys(Keys.SPACE)
    assert told.text != first
    before.send_keys(Keys.ENTER)
    assert told.text == first
    browser.find_element(By.ID, "by-kind").send_keys("new")  # hides the line
    line.send_keys(Keys.ENTER)
    focused = "return document.activeElement.dataset.cell || ''"
    WebDriverWait(browser, 5).until(lambda b: b.execute_script(focused))
    claim = first.partition(" on ")[0]
    assert browser.execute_script(focused).startswith(f"{claim}|")
    assert browser.get_log("browser") == []


@needs_browser
def test_filters_hide_dots_too_and_a_click_chooses_one(
    browser: Any, tmp_path: Path
) -> None:
    show_text(browser, tmp_path, changes_page(compared(*two_runs())))

    def shown() -> list[Any]:
        return [dot for dot in find(browser, ".scatter .dot") if dot.is_displayed()]

    n_dots = len(shown())
    browser.find_element(By.ID, "by-kind").send_keys("drift")
    assert len(shown()) == 1 < n_dots
    ActionChains(browser).move_to_element(shown()[0]).click().perform()
    assert find(browser, ".scatter output")[0].text.startswith("claim_drift[gd]")


@needs_browser
def test_the_page_is_legible_in_both_themes_and_on_a_phone(
    browser: Any, tmp_path: Path
) -> None:
    before, after = two_runs()
    text = changes_page(compared(before, after, before[:2]))
    show_text(browser, tmp_path, text)
    unfold = "document.querySelectorAll('details').forEach((d) => (d.open = true))"
    browser.execute_script(unfold)
    assert faults_of(browser) == []
    for theme in ("light", "dark"):
        media(browser, theme)
        n_texts, faint = faint_texts(browser)
        assert n_texts > 60
        assert faint == []
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    wide = "return document.documentElement.scrollWidth"
    assert browser.execute_script(wide) <= 390


@needs_browser
def test_hostile_texts_run_nowhere_on_the_page(browser: Any, tmp_path: Path) -> None:
    rows = [
        hostile_row(text) | {"n_demonstrations": i}
        for i, text in enumerate(HOSTILE.values(), start=1)
    ]
    said = compared([r | {"alone": "supported"} for r in rows], rows)
    show_text(browser, tmp_path, changes_page(said))
    assert browser.find_element(
        By.ID, "shown"
    ).text == f"{len(rows)} of {len(rows)}" + (" changes shown")
    assert browser.execute_script("return document.scripts.length") == 1
    assert browser.get_log("browser") == []
