"""The answer of a run: on one scale, in words, and with the interval that decides."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.measurement import Measurement
from probes.report.answer import answer_of
from probes.report.claim_lines import UNJUDGED, fold_variants, lines_by_kind
from probes.report.common_scale import LEAST, MOST, excess_of, position
from probes.report.deciding_interval import deciding_interval, refuting_interval
from probes.report.entry_summary import summarise_entry
from probes.report.headline import CellCounts, count_cells
from probes.report.matrix import arrange
from probes.report.measure_ranges import interval_of
from probes.report.measured_quantity import quantity_of_line, target_of
from probes.report.number_text import effect_text, short_number
from probes.report.verdict_words import main_effect_text, verdict_in_words
from probes.results.rows import Row
from probes.verdicts.equivalence import equivalence_test
from probes.verdicts.superiority import superiority_test
from tests.support.rows import effect, row


def within(value: float, low: float, high: float, **given: object) -> dict[str, Any]:
    ends = {"value": value, "low": low, "high": high, "margin": 0.1}
    return effect(has_two_sides=True, **(ends | given))


def of_kind(kind: str, model: str, verdict: str, **given: object) -> Row:
    return row(kind=kind, model=model, verdict=verdict, **given)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0.29, ".29"),
        (0.0083, ".0083"),
        (-1.24, "−1.2"),
        (0, "0"),
        (3.4e-15, "3e−15"),
        (123.4, "123"),
        (12345.0, "1e4"),
        (60.5, "61"),
        (-0.125, "−.13"),
        (2500.0, "3e3"),
        (None, "–"),
        (float("inf"), "–"),
    ],
)
def test_a_short_number_has_two_digits_and_no_leading_zero(
    number: float | None, said: str
) -> None:
    assert short_number(number) == said


@pytest.mark.parametrize(
    ("values", "test", "asked"),
    [
        ("difference", equivalence_test, {"one_sided": False}),
        ("distance", equivalence_test, {"one_sided": True}),
        ("advantage", superiority_test, {}),
    ],
)
@pytest.mark.parametrize("mean", [-0.3, 0.02, 0.098, 0.102, 0.4])
def test_the_margin_is_the_zero_of_the_common_scale(
    values: str, test: Any, asked: dict[str, Any], mean: float
) -> None:
    noise = np.random.default_rng(0).normal(size=(12, 30)) / 100
    noise -= noise.mean()
    measured = Measurement(name=values, values=mean + noise, unit="nats")
    found = test(measured, margin=0.1, **asked)
    excess = excess_of(
        row(
            verdict=found.verdict,
            effects=[asdict(found.effect)],
            p_supported=found.p_supported,
            p_refuted=found.p_refuted,
        )
    )
    assert excess is not None
    holds = mean > 0.1 if values == "advantage" else mean < 0.1
    holds &= values != "difference" or mean > -0.1
    assert (excess.value < 0) == holds
    assert excess.low is not None
    assert excess.high is not None
    assert excess.low <= excess.value + 1e-9
    assert excess.value <= excess.high + 1e-9


def test_the_ceiling_is_one_margin_inside_and_the_floor_is_far_outside() -> None:
    share = effect(floor=0.2, ceiling=0.8, margin=0.1)
    for value, beyond in ((1.0, -1.0), (0.9, 0.0), (0.0, 9.0)):
        excess = excess_of(row(effects=[share | {"value": value}]))
        assert excess is not None
        assert excess.value == pytest.approx(beyond)


def test_what_nothing_sampled_decided_is_on_the_side_of_its_verdict() -> None:
    exact = effect(value=0.02, margin=0.2, low=None, high=None, level=None)
    for verdict, is_inside in (("supported", True), ("refuted", False)):
        excess = excess_of(row(verdict=verdict, effects=[exact]))
        assert excess is not None
        assert (excess.value < 0) == is_inside
    largest = exact | {"name": "largest distance"}  # refuted on a worst task
    excess = excess_of(row(verdict="refuted", effects=[largest]))
    assert excess is not None
    assert excess.value < 0


@given(st.floats(-1e6, 1e12), st.floats(-1e6, 1e12))
def test_the_drawn_axis_keeps_the_order_and_has_two_ends(a: float, b: float) -> None:
    assert (a <= b) == (position(a) <= position(b)) or position(a) == position(b)
    assert LEAST <= position(a) <= MOST


@pytest.mark.parametrize("n_sets", [6, 10, 20])
@pytest.mark.parametrize("seed", range(6))
def test_the_interval_of_refuted_leaves_the_margin_when_the_cell_is_refuted(
    n_sets: int, seed: int
) -> None:
    draws = np.random.default_rng(seed)
    for mean in (-0.3, -0.16, 0.12, 0.14, 0.17, 0.2, 0.25):
        noise = (
            draws.normal(size=(n_sets, 1)) / 12 + draws.normal(size=(n_sets, 30)) / 5
        )
        gap = Measurement(name="gap", values=mean + noise, unit="nats")
        found = equivalence_test(gap, margin=0.1)
        drawn = row(
            verdict=found.verdict,
            effects=[asdict(found.effect)],
            p_supported=found.p_supported,
            p_refuted=found.p_refuted,
        )
        wide = refuting_interval(drawn)
        assert wide is not None
        assert wide.low is not None
        assert wide.high is not None
        is_outside = wide.low > 0.1 or wide.high < -0.1
        assert is_outside == (found.verdict == "refuted")
        assert wide.level == pytest.approx((1 + (found.effect.level or 0)) / 2)
        shown = deciding_interval(drawn)
        assert shown == wide or abs(found.effect.value) <= 0.1


def test_a_cell_between_both_intervals_shows_the_one_that_reaches_the_margin() -> None:
    between = within(0.118, 0.067, 0.169, margin=0.05)
    undecided = row(verdict="inconclusive", effects=[between], p_refuted=0.078)
    shown = deciding_interval(undecided)
    assert shown is not None
    assert shown.low is not None
    assert shown.level == pytest.approx(0.95)
    assert shown.low < 0.05
    assert "95 % interval" in verdict_in_words(undecided)


def test_a_claim_with_one_side_has_one_interval() -> None:
    assert refuting_interval(row(effects=[effect()])) is None
    shown = deciding_interval(row(effects=[effect()]))
    assert shown is not None
    assert (shown.low, shown.high, shown.level) == (0.1, 0.3, 0.9)


@pytest.mark.parametrize(
    ("name", "unit", "drawn", "kept"),
    [
        ("accuracy: GD", "fraction", (-0.08, 2.09), (0.0, 1.0)),
        ("label accuracy difference", "fraction", (-1.4, 0.9), (-1.0, 0.9)),
        ("token overlap, share of the way", "fraction", (-3.0, 2.0), (-3.0, 2.0)),
        ("SimAOU: GD", "cosine", (-1.2, 1.02), (-1.0, 1.0)),
        ("order sensitivity: ICL", "probability", (-0.1, 1.7), (0.0, 1.7)),
        ("R² of the linear fit", "fraction", (-4.0, 1.2), (-4.0, 1.0)),
        ("excess distance over ridge", "answer size", (-4.0, 5.0), (-4.0, 5.0)),
    ],
)
def test_an_interval_stays_within_the_range_of_its_measure(
    name: str, unit: str, drawn: tuple[float, float], kept: tuple[float, float]
) -> None:
    found = effect(name=name, unit=unit, value=0.5, low=drawn[0], high=drawn[1])
    assert interval_of(found) == kept
    assert f"[{kept[0]:.4g}, {kept[1]:.4g}]" in effect_text(found)


def test_an_interval_is_never_cut_past_its_own_effect() -> None:
    beyond = effect(name="accuracy", unit="fraction", value=1.01, low=0.9, high=1.2)
    assert interval_of(beyond) == (0.9, 1.01)
    below = beyond | {"value": -0.01, "low": -0.2, "high": 0.1}
    assert interval_of(below) == (-0.01, 0.1)


ACCURACY = {"name": "label accuracy difference", "unit": "fraction"}
ARMS = [
    effect(name="label accuracy: ICL", value=0.58, margin=None),
    effect(name="label accuracy: GD", value=0.29, margin=None),
]


def test_a_difference_is_said_as_a_colleague_would() -> None:
    missed = within(0.29, 0.2, 0.38, **ACCURACY)
    refuted = row(verdict="refuted", effects=[missed, *ARMS], p_refuted=1e-9)
    said = verdict_in_words(refuted)
    assert said.startswith(
        "GD is right .29 less often than ICL (.29 against .58), 95 %"
    )
    assert said.endswith("; a difference below .1 would have counted as equal.")


def test_without_both_arms_a_difference_has_no_side() -> None:
    said = verdict_in_words(row(effects=[within(0.02, -0.01, 0.05, **ACCURACY)]))
    assert said == (
        "The difference in label accuracy is .02, 90 % interval [−.01, .05]; a "
        "difference below .1 counts as equal."
    )


def test_a_share_is_said_with_its_floor_and_its_ceiling() -> None:
    name = "token overlap, share of the way from floor to ceiling"
    share = effect(name=name, unit="fraction", floor=0.2, ceiling=0.8, margin=0.1)
    said = verdict_in_words(row(verdict="refuted", effects=[share]))
    assert said == (
        "Likeness to ICL by token overlap: no learning .2, ICL in another order .8; "
        "from no learning (0) to ICL (1), GD is at .2, 90 % interval [.1, .3]; .9 or "
        "more would have counted as alike."
    )
    own = effect(name="token overlap: the learner", value=0.32)
    said = verdict_in_words(row(verdict="refuted", effects=[share, own]))
    assert ": GD .32, no learning .2, ICL in another order .8; from no" in said


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ({"floor": 0.2, "ceiling": 0.8, "margin": 0.1}, "at least .9"),
        ({"has_two_sides": True, "margin": 0.1}, "within ±.1"),
        ({"has_two_sides": False, "margin": 0.5}, "below .5"),
        ({"level": None, "margin": 1e-12, "value": 3e-15}, "below 1e−12"),
        ({"margin": None}, ""),
    ],
)
def test_a_target_says_which_numbers_support_the_claim(
    given: dict[str, Any], target: str
) -> None:
    assert target_of(row(effects=[effect(**given)])) == target


def test_a_claim_on_the_far_side_of_its_margin_has_its_target_there() -> None:
    more = effect(value=0.7, low=0.6, high=0.8, margin=0.5, has_two_sides=False)
    advantage = row(effects=[more], p_supported=0.001, p_refuted=0.999)
    assert target_of(advantage) == "above .5"
    assert target_of(row(verdict="error", effects=[])) == ""


def test_a_line_has_the_quantity_and_the_target_of_most_of_its_cells() -> None:
    share = effect(name="overlap, share of the way from floor to ceiling", margin=0.1)
    cells = [row(effects=[share | {"floor": 0.2, "ceiling": 0.8}])] * 2 + [row()]
    assert quantity_of_line(cells) == (
        "overlap (no learning 0, ICL 1)",
        "at least .9",
    )
    assert quantity_of_line([row(verdict="not_applicable")]) == ("", "")


def test_below_no_learning_is_said_to_be_less_like_icl() -> None:
    name = "token overlap, share of the way from floor to ceiling"
    ends = {"floor": 0.96, "ceiling": 0.99, "low": -31.0, "high": -15.0}
    far = effect(name=name, unit="fraction", value=-17.0, margin=0.1, **ends)
    said = verdict_in_words(row(verdict="refuted", effects=[far]))
    assert "GD is at −17, 90 % interval [−31, −15] (below 0: less like ICL than" in said
    assert "of the way" not in said


def test_what_is_not_applicable_is_said_with_its_reason_and_the_gates_numbers() -> None:
    gain = effect(name="gain of ICL", value=0.025, low=-0.42, high=0.16, margin=None)
    said = verdict_in_words(
        row(verdict="not_applicable", reason="ICL gains nothing", effects=[gain])
    )
    assert said == (
        "ICL gains nothing: gain of ICL is .025 nats, 90 % interval [−.42, .16]; it "
        "should be clearly above 0."
    )


def test_narrow_columns_count_in_the_letters_of_their_entries() -> None:
    counts = CellCounts(supported=1, refuted=53, inconclusive=63)
    assert counts.briefest == ["1/54 hold", "I63"]
    assert CellCounts(inconclusive=8).briefest == ["I8"]
    assert CellCounts().briefest == ["none judged"]


def test_only_judged_cells_count_as_holding_or_not() -> None:
    rows = [
        row(claim="a", verdict="supported"),
        row(claim="b", verdict="inconclusive"),
        row(claim="c", verdict="error"),
        row(claim="d", verdict="not_applicable"),
        row(claim="e", verdict="refuted"),
        row(claim="e", verdict="error", dataset="cb"),
        row(claim="f", verdict="supported", identity=True),
    ]
    counts = count_cells(arrange(rows), ["llama"])
    assert counts == CellCounts(supported=1, refuted=1, inconclusive=1)
    assert str(counts) == "1 of 2 hold, 1 inconclusive"
    assert str(CellCounts()) == "none judged"


def test_the_answer_begins_with_pretrained_networks_and_their_closest_claim() -> None:
    near, far = within(0.12, 0.05, 0.2), within(0.9, 0.8, 1.0)
    rows = [
        of_kind("constructed", "by_hand", "supported", claim="near"),
        of_kind("pretrained", "llama", "refuted", claim="far", effects=[far]),
        of_kind("pretrained", "llama", "inconclusive", claim="near", effects=[near]),
    ]
    answer = answer_of(arrange(rows))
    assert answer.lead == (
        "On 1 pretrained network (llama): 0 of 1 decided cell holds; 1 more is "
        "inconclusive."
    )
    closest, farthest = answer.examples
    assert closest.startswith("Closest: “Near” on llama (sst2, 4 demonstr")
    assert "llama (sst2, 4 demonstrations), inconclusive (too few sets)" in closest
    assert farthest.startswith("Farthest: “Far” on llama")
    assert answer.others == ("Elsewhere: 1 of 1 hold on 1 constructed network.")


def test_the_answer_says_how_far_off_how_sure_and_why_inconclusive() -> None:
    def missed(value: float, p: float | None) -> Row:
        found = within(value, value, value, p_adjusted=p)
        return row(claim=f"c{value}", verdict="refuted", effects=[found])

    def open_cell(reason: str, **given: object) -> Row:
        found = within(0.12, 0.05, 0.2, **given)
        return row(
            claim=reason,
            verdict="inconclusive",
            alone="inconclusive",
            reason=reason,
            effects=[found],
        )

    answer = answer_of(
        arrange(
            [
                *(missed(value, p) for value, p in ((0.3, 0.01), (0.41, 0.025))),
                missed(0.9, None),
                *(open_cell(f"straddles; about {n}, 7 more") for n in (12, 20)),
                open_cell("GD may still come nearer; a larger --effort may decide"),
                open_cell("at this effect no number of sets decides; more queries do"),
                open_cell("it is not clear whether there is a gain", margin=None),
            ]
        )
    )
    assert answer.refuted == (
        "Refuted: 3 cells, off by 4.1 margins (median; one margin counts as equal), "
        "each with p ≤ .025 after correction."
    )
    assert answer.inconclusive == (
        "Inconclusive: 5 cells, off by 1.2 margins (median): too few sets (2), GD's "
        "search unfinished (1), too few queries (1), ICL's gain unclear (1)."
    )
    assert answer.sentences[1:3] == answer.details


def test_an_interval_has_the_sign_of_the_sentence_that_it_follows() -> None:
    more = within(-0.033, -0.14, 0.069, **ACCURACY)
    arms = [
        effect(name="label accuracy: ICL", value=0.8, margin=None),
        effect(name="label accuracy: GD", value=0.833, margin=None),
    ]
    said = verdict_in_words(row(verdict="inconclusive", effects=[more, *arms]))
    assert "GD is right .033 more often than ICL" in said
    assert "interval [−.069, .14]" in said


def test_noise_in_the_weights_is_said_to_be_in_the_weights() -> None:
    arms = [
        effect(name="label accuracy: ICL", value=0.58, margin=None),
        effect(name="label accuracy: noise 0.1", value=0.6, margin=None),
    ]
    less = within(-0.02, -0.1, 0.1, **ACCURACY)
    said = verdict_in_words(row(effects=[less, *arms]))
    assert said.startswith(
        "With noise 0.1 in the weights, ICL is right .02 more often than without (.6 "
    )


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (
            CellCounts(refuted=28, inconclusive=87),
            "0 of 28 decided cells hold; 87 more are ",
        ),
        (CellCounts(supported=1), "1 of 1 decided cell holds"),
        (CellCounts(inconclusive=2), "2 cells judged, none decided yet"),
        (CellCounts(), "no cell could be judged"),
    ],
)
def test_the_headline_counts_what_holds_among_what_is_decided(
    counts: CellCounts, said: str
) -> None:
    assert counts.as_answer.startswith(said)


def test_a_run_that_judged_nothing_says_so() -> None:
    assert answer_of(arrange([])).sentences == ["Nothing was judged."]
    nothing = arrange([row(verdict="not_applicable")])
    assert answer_of(nothing).lead.endswith("no cell could be judged.")


def test_an_entry_shows_median_and_range_of_its_judged_cells() -> None:
    def cell(value: float, verdict: str = "refuted", **given: object) -> Row:
        return row(verdict=verdict, effects=[effect(value=value)], **given)

    cells = [cell(0.1), cell(0.29), cell(0.41), cell(9.0, "not_applicable")]
    summary = summarise_entry(cells)
    assert (summary.short, summary.spread) == ("R .29", ".1–.4")
    two_sided = [row(effects=[within(v, v, v)]) for v in (-0.1, 0.4)]
    below = summarise_entry(two_sided)
    assert below.spread == "−.1 to .4"  # no dash beside a minus
    mixed = summarise_entry([*cells, cell(0.01, "supported")])
    assert (mixed.short, mixed.spread) == ("S1R3 .2", "")
    assert summarise_entry([cell(9.0, "not_applicable")]).short == "–"
    no_room = effect(floor=0.8, ceiling=0.81, level=None, value=0.7)
    without_place = row(verdict="inconclusive", effects=[no_room])
    assert summarise_entry([*cells, without_place]).short == "R3I1 .29"
    unlike = row(verdict="refuted", effects=[effect(unit="bits")])
    assert summarise_entry([*cells, unlike]).short == "R"
    assert summarise_entry([]).short == ""
    tiny = [cell(-3e-17, "supported"), cell(4e-15, "supported")]
    assert (summarise_entry(tiny).short, summarise_entry(tiny).spread) == ("S 0", "")
    assert summarise_entry(tiny[1:], least=0).short == "S 4e−15"


def test_an_undecided_gate_shows_no_effect_but_counts_as_judged() -> None:
    gain = effect(name="gain of ICL", value=0.02, margin=None)
    undecided = row(verdict="inconclusive", reason="gain not clear", effects=[gain])
    assert summarise_entry([undecided]).short == "I"
    assert list(lines_by_kind(arrange([undecided]))) == ["pretrained"]


def test_variants_fold_into_one_line_under_the_first_kind_that_judges_them() -> None:
    rows = [
        row(claim="a[gd]", kind="constructed", model="by_hand"),
        row(claim="a[adam]", kind="pretrained", verdict="refuted"),
        row(claim="b", kind="constructed", model="by_hand"),
        row(claim="c", verdict="not_applicable"),
    ]
    matrix = arrange(rows)
    assert [line.claims for line in fold_variants(matrix)] == [
        ("a[gd]", "a[adam]"),
        ("b",),
        ("c",),
    ]
    groups = {
        kind: [x.name for x in own] for kind, own in lines_by_kind(matrix).items()
    }
    assert groups == {"pretrained": ["a"], "constructed": ["b"], UNJUDGED: ["c"]}


def test_the_claim_that_comes_closest_is_the_first_of_its_group() -> None:
    rows = [
        row(claim=name, verdict="refuted", effects=[within(value, value, value)])
        for name, value in (("far", 0.9), ("near", 0.2), ("middle", 0.5))
    ]
    (group,) = lines_by_kind(arrange(rows)).values()
    assert [line.name for line in group] == ["near", "middle", "far"]


def test_a_table_shows_the_wider_interval_where_that_decides() -> None:
    between = within(0.118, 0.067, 0.169, margin=0.05, name="gap")
    undecided = row(verdict="inconclusive", effects=[between], p_refuted=0.078)
    assert main_effect_text(undecided).startswith("gap 0.118 [0.067, 0.169], 95 % [0.0")
    assert main_effect_text(row(effects=[effect()])) == effect_text(effect())
