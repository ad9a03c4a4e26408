"""The chart of effects: its lanes, their names, and room for dots and whiskers."""

from __future__ import annotations

from typing import Any

import pytest

from probes.report.chart_lanes import MOST_LANES, lanes_of, lanes_with_names
from probes.report.chart_text import chart_lines
from probes.report.effect_chart import (
    MOST_ROWS,
    NARROW,
    NO_LIMIT,
    PITCH,
    STEP,
    WIDE,
    drawn_charts,
    drawn_lanes,
)
from probes.report.matrix import arrange
from probes.results.rows import Row
from tests.support.rows import effect, row


def within(value: float, low: float, high: float, **given: object) -> dict[str, Any]:
    ends = {"value": value, "low": low, "high": high, "margin": 0.1}
    return effect(has_two_sides=True, **(ends | given))


def test_the_chart_has_a_mark_for_each_verdict_of_a_claim_on_a_kind() -> None:
    rows = [
        row(verdict="supported", effects=[within(0.0, -0.01, 0.01)]),
        row(verdict="refuted", dataset="cb", effects=[within(0.9, 0.8, 1.0)]),
        row(verdict="not_applicable", dataset="rte"),
    ]
    (marks,) = lanes_of(arrange(rows)).values()
    assert [(m.letter, m.place > 0) for m in marks] == [("S", False), ("R", True)]
    _, line = chart_lines(arrange(rows))
    strip = line.split("  ")[1]
    assert strip.index("S") < strip.index("|") < strip.index("R")


def whisker_of(*rows: Row) -> tuple[float, float]:
    (marks,) = lanes_of(arrange(rows)).values()
    (mark,) = marks
    assert mark.reach is not None
    return mark.reach


def test_a_whisker_is_the_interval_in_margins_and_of_several_cells_the_median() -> None:
    def cell(low: float, high: float, dataset: str = "sst2") -> Row:
        inside = effect(value=0.2, low=low, high=high, has_two_sides=False)
        return row(dataset=dataset, effects=[inside])  # the margin is .5

    assert whisker_of(cell(0.1, 0.3)) == pytest.approx((-0.8, -0.4))
    three = (cell(0.1, 0.3), cell(0.0, 0.5, "cb"), cell(0.15, 0.35, "rte"))
    assert whisker_of(*three) == pytest.approx((-0.8, -0.3))


def test_a_whisker_is_the_interval_that_decides() -> None:
    between = within(0.118, 0.067, 0.169, margin=0.05)
    undecided = row(verdict="inconclusive", effects=[between], p_refuted=0.078)
    low, high = whisker_of(undecided)
    assert low < 0 < high  # the row's own interval lies outside the margin


def test_what_nothing_sampled_decided_has_no_whisker() -> None:
    exact = effect(value=3e-15, low=None, high=None, level=None, margin=1e-12, p=None)
    (marks,) = lanes_of(arrange([row(effects=[exact])])).values()
    assert marks[0].reach is None


@pytest.mark.parametrize("frame", [WIDE, NARROW])
def test_whiskers_have_levels_of_their_own_and_stay_in_the_drawing(frame: Any) -> None:
    rows = [
        row(claim=f"c{i}", verdict="inconclusive", effects=[within(v, v - 0.3, v + 9)])
        for i, v in enumerate((0.1, 0.15, 0.2, 0.25))
    ]
    chart = drawn_lanes(lanes_of(arrange(rows)), frame)
    (lane,) = chart["lanes"]
    assert len({dot.y for dot in lane["dots"]}) == 4
    for dot in lane["dots"]:
        assert chart["left"] <= dot.reach[0] <= dot.x <= dot.reach[1] <= frame.width


def test_dots_of_the_chart_neither_overlap_nor_leave_it() -> None:
    rows = [
        row(claim=f"claim_{i}", verdict="refuted", effects=[within(v, v, v)])
        for i, v in enumerate([0.2] * 30 + [99.0] * 30)
    ]
    chart = drawn_lanes(lanes_of(arrange(rows)))
    (lane,) = chart["lanes"]
    spots = [(dot.x, dot.y) for dot in lane["dots"]]
    assert len(set(spots)) == len(spots) == 60
    assert all(chart["left"] <= x <= chart["width"] for x, _ in spots)
    assert all(0 <= y <= chart["foot"] for _, y in spots)


def on_networks(**networks: str) -> list[Row]:
    """Judge one claim on each network of a kind."""
    return [row(model=model, kind=kind) for model, kind in networks.items()]


def test_few_networks_have_a_lane_each_and_many_of_a_kind_share_a_named_one() -> None:
    few = on_networks(gemma="pretrained", llama="pretrained", by_hand="constructed")
    assert [*lanes_with_names(arrange(few))] == ["gemma", "llama", "by_hand"]
    learned = {f"learned_{i}": "learned" for i in range(MOST_LANES)}
    many = few + on_networks(**learned)
    names = [*lanes_with_names(arrange(many))]
    assert names == ["gemma", "llama", f"{MOST_LANES} learned", "by_hand"]


def test_a_network_that_is_nowhere_judged_has_no_lane() -> None:
    rows = on_networks(gemma="pretrained", llama="pretrained")
    rows[1]["verdict"] = "not_applicable"
    assert [*lanes_with_names(arrange(rows))] == ["gemma"]


def test_networks_that_share_a_lane_have_their_own_in_a_second_chart() -> None:
    few = on_networks(gemma="pretrained", llama="pretrained")
    assert drawn_charts(arrange(few))["all_charts"] == {}
    many = on_networks(**{f"learned_{i}": "learned" for i in range(MOST_LANES + 1)})
    charts = drawn_charts(arrange(many))
    for size in ("wide", "narrow"):
        (lane,) = charts["charts"][size]["lanes"]
        assert lane["name"] == f"{MOST_LANES + 1} learned"
        names = [lane["name"] for lane in charts["all_charts"][size]["lanes"]]
        assert names == [f"learned_{i}" for i in range(MOST_LANES + 1)]


def test_names_of_lanes_stand_left_of_the_axis_or_above_the_dots() -> None:
    names = ("short", "a_network_with_a_name_that_is_far_too_long_for_its_lane")
    lanes = lanes_with_names(arrange(on_networks(**dict.fromkeys(names, "learned"))))
    wide, narrow = drawn_lanes(lanes, WIDE), drawn_lanes(lanes, NARROW)
    assert all(8 * len(lane["label"]) <= wide["left"] + 8 for lane in wide["lanes"])
    cut = wide["lanes"][0]  # models of a kind come in the order of their names
    assert cut["name"] == names[1]
    assert cut["label"].startswith("a_network")
    assert cut["label"].endswith("its_lane")
    for lane in narrow["lanes"]:
        assert all(lane["at"] < dot.y for dot in lane["dots"])


def crossings(lane: dict[str, Any]) -> int:
    """Count the dots that the drawn whisker of another crosses."""
    return sum(
        dot.reach[0] <= other.x <= dot.reach[1] and abs(dot.y - other.y) < PITCH
        for dot in lane["dots"]
        if dot.reach is not None and not dot.is_crowded
        for other in lane["dots"]
        if other is not dot
    )


def crowd(n: int) -> list[Row]:
    """Judge many claims whose intervals all reach over the margin."""
    return [
        row(claim=f"c{i}", verdict="inconclusive", effects=[within(v, v / 9, v + 0.4)])
        for i, v in enumerate(0.1 + 0.02 * j for j in range(n))
    ]


@pytest.mark.parametrize("frame", [WIDE, NARROW])
def test_no_whisker_crosses_a_dot_in_a_lane_of_thirty(frame: Any) -> None:
    (lane,) = drawn_lanes(lanes_of(arrange(crowd(30))), frame)["lanes"]
    assert crossings(lane) == 0
    assert not any(dot.is_crowded for dot in lane["dots"])


@pytest.mark.parametrize("frame", [WIDE, NARROW])
def test_a_whisker_without_room_shows_only_where_it_is_pointed_at(frame: Any) -> None:
    lanes = lanes_of(arrange(crowd(2 * MOST_ROWS)))
    (lane,) = drawn_lanes(lanes, frame)["lanes"]
    n_crowded = sum(dot.is_crowded for dot in lane["dots"])
    assert 0 < n_crowded <= MOST_ROWS
    (lane,) = drawn_lanes(lanes, frame, most_rows=NO_LIMIT)["lanes"]
    assert not any(dot.is_crowded for dot in lane["dots"])
    assert crossings(lane) == 0


def test_the_first_lane_takes_the_rows_that_it_needs() -> None:
    rows = crowd(20) + [
        one | {"model": f"by_hand_{i}", "kind": "constructed"}
        for i in range(9)
        for one in crowd(20)
    ]
    first, second = drawn_lanes(lanes_with_names(arrange(rows)))["lanes"]
    assert not any(dot.is_crowded for dot in first["dots"])
    assert any(dot.is_crowded for dot in second["dots"])


@pytest.mark.parametrize("n", [3, 30, 100])
def test_dots_are_apart_at_any_number_of_rows(n: int) -> None:
    (lane,) = drawn_lanes(lanes_of(arrange(crowd(n))))["lanes"]
    for i, dot in enumerate(lane["dots"]):
        for other in lane["dots"][:i]:
            near = abs(dot.x - other.x) < STEP and abs(dot.y - other.y) < STEP
            assert not near, (dot, other)
