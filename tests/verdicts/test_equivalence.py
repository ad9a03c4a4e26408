"""Verdicts at, inside and beyond their margins, and how often they are wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.cards import Construction, DatasetCard, LinearTasks, ModelCard
from probes.cell import Cell, Settings
from probes.claims import ClaimCard
from probes.errors import ClaimError, ShapeError
from probes.measurement import Array, Measurement
from probes.verdicts.ceiling import ceiling_test
from probes.verdicts.crossed_means import estimate_mean
from probes.verdicts.equivalence import describe, equivalence_test
from probes.verdicts.exact import census_test, tolerance_test
from probes.verdicts.gain import is_clearly_positive
from probes.verdicts.judge import Judge
from probes.verdicts.judgement import Judgement
from probes.verdicts.outcomes import Undecided
from probes.verdicts.thresholds import (
    ALPHA,
    FEW_FACTOR,
    LEAST_QUERIES,
    LEAST_SETS,
    LEVEL,
    WIDENING,
)

N_WORLDS = 400
SHAPE = (10, 40)
SPREAD = 0.5  # standard deviation of one value

CLAIM = ClaimCard(name="c", sentence="All is well.", source="§1", on="regression")
CELL = Cell(
    model=ModelCard(
        name="gd_1",
        kind="constructed",
        family="regression",
        summary="",
        weights=Construction(algorithm="gd", n_inputs=2, n_layers=1, rate=0.1),
    ),
    dataset=DatasetCard(
        name="linear", family="regression", summary="", rows=LinearTasks()
    ),
    n_demonstrations=4,
    settings=Settings(),
)


def measured(values: Array | float, name: str = "gap") -> Measurement:
    return Measurement(name=name, unit="nats", values=np.atleast_2d(values))


def world(seed: int, mean: float, shape: tuple[int, int] = SHAPE) -> Measurement:
    """Draw crossed values: half the variance between sets, a fifth between queries."""
    rng = np.random.default_rng(seed)
    parts = [(0.5, (shape[0], 1)), (0.2, (1, shape[1])), (0.3, shape)]
    noise = sum(math.sqrt(share) * rng.normal(size=size) for share, size in parts)
    return measured(mean + SPREAD * np.asarray(noise))


MANY = (40, 40)


def narrow(mean: float, shape: tuple[int, int] = SHAPE, seed: int = 0) -> Measurement:
    noise = np.random.default_rng(seed).normal(size=shape)
    return measured(mean + 1e-3 * (noise - noise.mean()))


def wide(mean: float) -> Measurement:
    """Draw a world and move it, so that its own mean is exact."""
    drawn = world(0, 0.0)
    return measured(drawn.values - drawn.mean + mean)


JUDGES: dict[str, Callable[[float], Judgement]] = {
    "within": lambda margin: equivalence_test(narrow(0.0), margin=margin),
    "ceiling": lambda margin: ceiling_test(
        narrow(0.5), floors=[narrow(0.1)], ceiling=narrow(0.9), margin=margin
    ),
    "exactly": lambda margin: tolerance_test(narrow(0.0), tolerance=margin),
    "whole": lambda margin: census_test(narrow(0.0), margin=margin),
}


@pytest.mark.parametrize(
    ("mean", "verdict"),
    [(0.0, "supported"), (0.9, "supported"), (-0.9, "supported"), (1.1, "refuted"),
     (-1.1, "refuted"), (1.0, "inconclusive"), (-1.0, "inconclusive")],
)  # fmt: skip
def test_difference_is_judged_by_both_margins(mean: float, verdict: str) -> None:
    assert equivalence_test(narrow(mean), margin=1.0).verdict == verdict


@pytest.mark.parametrize(
    ("mean", "verdict"),
    [(-50.0, "supported"), (0.9, "supported"), (1.0, "inconclusive"), (1.1, "refuted")],
)
def test_one_sided_difference_may_be_below_by_any_amount(
    mean: float, verdict: str
) -> None:
    assert equivalence_test(narrow(mean), margin=1.0, one_sided=True).verdict == verdict


@pytest.mark.parametrize(
    ("mean", "verdict"),
    [(0.1, "refuted"), (0.6, "refuted"), (0.74, "inconclusive"), (0.8, "supported"),
     (0.9, "supported"), (1.2, "supported")],
)  # fmt: skip
def test_similarity_is_judged_by_its_share_of_the_way(
    mean: float, verdict: str
) -> None:
    found = ceiling_test(
        narrow(mean, seed=1), floors=[narrow(0.1)], ceiling=narrow(0.9, seed=2),
        margin=0.2,
    )  # fmt: skip
    assert found.verdict == verdict
    assert found.effect.value == pytest.approx((mean - 0.1) / (0.9 - 0.1))


@pytest.mark.parametrize("ceiling", [0.1, 0.05])
def test_ceiling_that_is_not_above_the_floor_measures_nothing(ceiling: float) -> None:
    found = ceiling_test(
        narrow(0.1), floors=[narrow(0.1)], ceiling=narrow(ceiling), margin=0.2
    )
    assert found.verdict == "not_applicable"
    assert "is not above the floor (0.1)" in found.reason
    assert (found.effect.floor, found.effect.ceiling) == pytest.approx((0.1, ceiling))


def test_ceiling_that_may_be_chance_measures_nothing() -> None:
    ceiling = wide(0.05)
    found = ceiling_test(narrow(0.0), floors=[narrow(0.0)], ceiling=ceiling, margin=0.2)
    assert ceiling.mean == pytest.approx(0.05)
    assert found.verdict == "inconclusive"
    assert "is not clearly above the floor" in found.reason


def test_ceiling_that_is_not_above_its_floor_measures_nothing() -> None:
    same = narrow(0.5)
    found = ceiling_test(same, floors=[same], ceiling=narrow(0.499), margin=0.2)
    assert found.verdict == "not_applicable"
    assert "cannot tell learning from none" in found.reason


def test_largest_floor_counts() -> None:
    floors = [narrow(0.1), narrow(0.5), narrow(0.3)]
    found = ceiling_test(narrow(0.8), floors=floors, ceiling=narrow(0.9), margin=0.5)
    assert found.effect.floor == pytest.approx(0.5)
    assert found.effect.value == pytest.approx(0.75)


def test_a_far_lower_floor_hinders_no_refutation() -> None:
    floors = [narrow(0.8), narrow(-9.0, seed=3)]  # .81 is 99 % of the way from −9
    found = ceiling_test(narrow(0.81), floors=floors, ceiling=narrow(0.9), margin=0.2)
    assert found.verdict == "refuted"
    assert found.effect.floor == pytest.approx(0.8)


def test_the_smallest_ceiling_counts() -> None:
    further = [narrow(0.8), narrow(5.0, seed=3)]
    found = ceiling_test(
        narrow(0.79),
        floors=[narrow(0.1)],
        ceiling=narrow(0.9),
        further_ceilings=further,
        margin=0.1,
    )
    assert found.verdict == "supported"
    assert found.effect.ceiling == pytest.approx(0.8)


def test_every_ceiling_must_be_missed_for_refutation() -> None:
    def judge(*further: Measurement) -> Judgement:
        return ceiling_test(
            narrow(0.7),
            floors=[narrow(0.1)],
            ceiling=narrow(0.9),
            further_ceilings=further,
            margin=0.1,
        )

    assert judge().verdict == "refuted"
    assert judge(narrow(0.95, seed=3)).verdict == "refuted"
    unsure = judge(narrow(0.71, seed=3), wide(0.72))
    assert unsure.verdict == "supported"  # the second one is clearly reached
    assert judge(wide(0.8)).verdict == "inconclusive"


def test_the_lowest_of_equal_ceilings_does_not_help_a_claim() -> None:
    """With the mean at the margin, five ceilings lead to no more support than one."""
    n, wrong = 400, 0
    for seed in range(n):
        floor, ours, *noise = (world(7 * seed + i, 0.0) for i in range(7))
        first, *further = (measured(one.values + 2.0) for one in noise)
        found = ceiling_test(
            measured(ours.values + 0.9 * 2.0),
            floors=[floor],
            ceiling=first,
            further_ceilings=further,
            margin=0.1,
        )
        wrong += found.verdict == "supported"
    assert wrong / n <= 0.065


def test_every_floor_must_be_passed_for_support() -> None:
    floors = [narrow(0.1), narrow(0.88, seed=3)]
    found = ceiling_test(narrow(0.89), floors=floors, ceiling=narrow(0.95), margin=0.2)
    assert found.verdict != "supported"


def test_ceilings_effect_has_fiellers_interval_around_it() -> None:
    floor, middle, ceiling = (world(s, s / 2) for s in (0, 1, 2))
    found = ceiling_test(middle, floors=[floor], ceiling=ceiling, margin=0.2).effect
    expected = (middle.mean - floor.mean) / (ceiling.mean - floor.mean)
    assert found.value == pytest.approx(expected)
    assert found.low is not None
    assert found.high is not None
    assert found.low < expected < found.high


@pytest.mark.parametrize("mean", [-1.2, -0.5, 0.3, 0.8, 1.4])
def test_p_values_are_of_the_worse_margin_and_of_either_side(mean: float) -> None:
    found, estimate = (
        equivalence_test(wide(mean), margin=1.0),
        estimate_mean(wide(mean).values),
    )
    below, above = (
        {bound: float(p(bound, widening=WIDENING)) for bound in (-1.0, 1.0)}
        for p in (estimate.p_below, estimate.p_above)
    )
    worse = max(below[1.0], above[-1.0])
    either = min(1.0, 2 * min(above[1.0], below[-1.0]))
    assert (found.p_supported, found.p_refuted) == pytest.approx((worse, either))


@pytest.mark.parametrize("n_sets", range(1, LEAST_SETS))
@pytest.mark.parametrize("mean", [0.0, 5.0])
def test_too_few_sets_decide_nothing(n_sets: int, mean: float) -> None:
    found = equivalence_test(narrow(mean, (n_sets, 40)), margin=1.0)
    assert found.verdict == "inconclusive"
    assert f"{n_sets} demonstration sets" in found.reason
    assert "--sets" in found.reason


@pytest.mark.parametrize("n_sets", range(1, LEAST_SETS))
@pytest.mark.parametrize("mean", [0.2, 0.5, 0.9])
def test_too_few_sets_leave_a_similarity_undecided(n_sets: int, mean: float) -> None:
    middle, floor, ceiling = (narrow(m, (n_sets, 40)) for m in (mean, 0.1, 0.9))
    found = ceiling_test(middle, floors=[floor], ceiling=ceiling, margin=0.2)
    assert found.verdict == "inconclusive"
    assert f"{n_sets} demonstration sets" in found.reason


@pytest.mark.parametrize("n_queries", [1, 2, 10, LEAST_QUERIES - 1])
@pytest.mark.parametrize("mean", [0.0, 5.0])
def test_too_few_queries_decide_nothing(n_queries: int, mean: float) -> None:
    found = equivalence_test(narrow(mean, (10, n_queries)), margin=1.0)
    assert found.verdict == "inconclusive"
    assert f"{n_queries} queries may hide a failure" in found.reason
    assert "--queries" in found.reason


@pytest.mark.parametrize("few", [(5, 40), (9, 40)])
def test_few_sets_multiply_every_p(few: tuple[int, int]) -> None:
    values = world(3, 0.8, few).values
    found = equivalence_test(measured(values), margin=1.0, one_sided=True)
    plain = estimate_mean(values).p_below(1.0, widening=WIDENING)
    assert found.p_supported == pytest.approx(min(1.0, FEW_FACTOR * float(plain)))


def test_interval_just_outside_is_not_said_to_straddle() -> None:
    half = -estimate_mean(wide(0.0).values).interval(LEVEL)[0]
    found = equivalence_test(wide(1.0 + 1.05 * half), margin=1.0)  # refuted needs more
    assert found.verdict == "inconclusive"
    assert found.effect.low is not None
    assert found.effect.low > 1.0
    assert "the 90% interval lies just outside the margin" in found.reason
    assert "the 95% interval that it takes reaches the margin" in found.reason
    at_95 = estimate_mean(wide(1.0 + 1.05 * half).values).interval(0.95)
    assert at_95[0] < 1.0


def test_one_set_has_no_interval_and_no_p_below_one() -> None:
    found = equivalence_test(narrow(0.0, (1, 40)), margin=1.0)
    assert (found.effect.low, found.effect.high) == (None, None)
    assert (found.p_supported, found.p_refuted) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.0, "supported"), (0.5, "supported"), (1.0, "inconclusive"), (2.0, "refuted")],
)
def test_equal_values_are_judged_as_they_are(value: float, verdict: str) -> None:
    found = equivalence_test(measured(np.full((10, 40), value)), margin=1.0)
    assert found.verdict == verdict
    assert (found.effect.low, found.effect.high) == (value, value)


def test_equal_arms_are_judged_as_they_are() -> None:
    floor, middle, ceiling = (measured(np.full((10, 40), v)) for v in (0.0, 0.95, 1.0))
    found = ceiling_test(middle, floors=[floor], ceiling=ceiling, margin=0.1)
    assert found.verdict == "supported"
    expected = pytest.approx((0.95, 0.95, 0.95))
    assert (found.effect.value, found.effect.low, found.effect.high) == expected


DEGENERATE = {
    "one set": np.full((1, 40), 0.5),
    "one query": np.full((10, 1), 0.5),
    "one of each": np.full((1, 1), 0.5),
    "all equal, at the margin": np.full((10, 40), 1.0),
    "two sets": np.arange(80.0).reshape(2, 40),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_values_are_inconclusive_with_a_reason(name: str) -> None:
    found = equivalence_test(measured(DEGENERATE[name]), margin=1.0)
    assert found.verdict == "inconclusive"
    assert found.reason


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_arms_decide_nothing_and_say_why(name: str) -> None:
    arm = measured(DEGENERATE[name])
    above = measured(DEGENERATE[name] + 1.0)
    found = ceiling_test(arm, floors=[arm], ceiling=above, margin=0.1)
    assert found.verdict in ("inconclusive", "refuted")
    assert found.reason or found.verdict == "refuted"
    same = ceiling_test(arm, floors=[arm], ceiling=arm, margin=0.1)
    is_tested = name == "all equal, at the margin"
    assert same.verdict == ("not_applicable" if is_tested else "inconclusive")
    assert same.reason


def test_support_by_equal_values_says_what_it_rests_on() -> None:
    learned = replace(CELL, model=replace(CELL.model, kind="learned"))
    judge = Judge(CLAIM, learned)
    judge.agrees(measured(np.zeros((10, 40))), margin=1.0)
    assert judge.judgement is not None
    assert judge.judgement.verdict == "supported"
    # Ten sets without a failure exclude a share of failures of 1 − .05^(1/10).
    assert "a failure in fewer than 26 % of demonstration sets" in judge.note


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_none_are_refused_before_a_verdict(bad: float) -> None:
    with pytest.raises(ShapeError, match=r"1 of 400 values that are NaN or infinite"):
        measured(np.where(np.arange(400).reshape(SHAPE) == 7, bad, 0.0))


@pytest.mark.parametrize(
    ("values", "verdict"),
    [([[0.0, 1e-12]], "supported"), ([[0.0, -1e-12]], "supported"),
     ([[0.0, 1.1e-12]], "refuted"), ([[0.0, -1.1e-12]], "refuted")],
)  # fmt: skip
def test_exact_claim_is_judged_by_its_largest_value(
    values: list[list[float]], verdict: str
) -> None:
    found = tolerance_test(measured(np.array(values)), tolerance=1e-12)
    assert found.verdict == verdict
    assert found.effect.value == np.abs(values).max()


@pytest.mark.parametrize(
    ("values", "verdict"),
    [([[0.1, 0.4]], "supported"), ([[0.1, 0.3]], "refuted"), ([[0.1]], "refuted"),
     ([[-1.0], [1.5]], "supported"), ([[-9.0, 0.0]], "refuted")],
)  # fmt: skip
def test_what_is_known_whole_is_judged_by_its_mean_however_few(
    values: list[list[float]], verdict: str
) -> None:
    found = census_test(measured(np.array(values)), margin=0.2)
    assert found.verdict == verdict
    assert found.effect.value == np.mean(values)
    assert (found.effect.low, found.effect.p, found.p_supported) == (None, None, None)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("margin", [0.0, -0.1, math.nan, math.inf, True, "0.1", None])
def test_margins_that_decide_nothing_are_refused(judge: str, margin: float) -> None:
    what = "tolerance" if judge == "exactly" else "margin"
    wording = rf"The {what} is .*\. Expected a positive number, .* Pass {what}=…\."
    with pytest.raises(ClaimError, match=wording):
        JUDGES[judge](margin)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_a_margin_may_be_a_numpy_scalar_and_is_kept_as_a_plain_one(
    judge: str, kind: type
) -> None:
    effect = JUDGES[judge](kind(0.25)).effect
    assert type(effect.margin) is float
    assert effect.margin == 0.25


@pytest.mark.parametrize("margin", [1.0, 1.5])
def test_share_of_the_way_that_may_be_missing_is_below_one(margin: float) -> None:
    wording = rf"The margin is {margin}\. Expected the share .* below 1\. Pass margin="
    with pytest.raises(ClaimError, match=wording):
        JUDGES["ceiling"](margin)


def test_similarity_without_a_floor_is_refused() -> None:
    with pytest.raises(ClaimError, match=r"judged without a floor\. Expected"):
        ceiling_test(narrow(0.5), floors=[], ceiling=narrow(0.9), margin=0.1)


@pytest.mark.parametrize("arm", ["floor", "ceiling"])
def test_arms_of_another_cell_are_refused(arm: str) -> None:
    arms = {"floor": narrow(0.1), "ceiling": narrow(0.9)}
    arms[arm] = narrow(arms[arm].mean, (10, 39))
    with pytest.raises(ShapeError, match=r"\(10, 40\) and an arm has \(10, 39\)"):
        ceiling_test(
            narrow(0.5), floors=[arms["floor"]], ceiling=arms["ceiling"], margin=0.1
        )


@pytest.mark.parametrize(
    ("gain", "opens"), [(0.2, True), (1e-3, True), (0.0, False), (-0.2, False)]
)
def test_gate_opens_for_a_gain_above_zero(gain: float, opens: bool) -> None:
    assert is_clearly_positive(narrow(gain)) is opens


def test_gate_is_closed_to_a_gain_that_may_be_chance() -> None:
    assert not is_clearly_positive(wide(0.05))


@pytest.mark.parametrize("n_sets", range(1, LEAST_SETS))
@pytest.mark.parametrize("gain", [-5.0, -0.05, 0.05, 5.0])
def test_gate_follows_the_sign_when_sets_are_too_few(n_sets: int, gain: float) -> None:
    drawn = world(0, 0.0, (n_sets, 40))
    found = is_clearly_positive(measured(drawn.values - drawn.mean + gain))
    assert found is (gain > 0)


def test_gate_opens_by_chance_as_seldom_as_it_says() -> None:
    opened = np.mean(
        [is_clearly_positive(world(seed, 0.0)) for seed in range(N_WORLDS)]
    )
    assert opened <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / N_WORLDS)


def test_closed_gate_says_why_and_shows_the_gain() -> None:
    judge = Judge(CLAIM, CELL)
    with pytest.raises(Undecided, match="ICL gains nothing over zero-shot"):
        judge.dismiss("ICL gains nothing over zero-shot", narrow(-0.2))
    assert judge.judgement is not None
    assert judge.judgement.verdict == "not_applicable"
    assert judge.judgement.effect.value == pytest.approx(-0.2)


def test_description_carries_interval_sizes_and_no_verdict() -> None:
    found = describe(world(0, 0.3))
    assert (found.n_sets, found.n_queries, found.margin, found.p) == (
        10,
        40,
        None,
        None,
    )
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), mean=st.floats(-2, 2))
def test_verdict_reflects_with_the_sign(seed: int, mean: float) -> None:
    one = world(seed, mean)
    there = equivalence_test(one, margin=1.0)
    back = equivalence_test(measured(-one.values), margin=1.0)
    assert back.p_supported == pytest.approx(there.p_supported, abs=1e-12)
    assert back.p_refuted == pytest.approx(there.p_refuted, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e3))
def test_verdict_ignores_the_unit(seed: int, scale: float) -> None:
    one = world(seed, 0.7)
    other = equivalence_test(measured(scale * one.values), margin=scale)
    found = equivalence_test(one, margin=1.0)
    assert other.verdict == found.verdict
    assert other.p_supported == pytest.approx(found.p_supported, rel=1e-6, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), mean=st.floats(-3, 3))
def test_supported_is_the_interval_inside_and_refuted_outside(
    seed: int, mean: float
) -> None:
    found = equivalence_test(world(seed, mean, (4, 6)), margin=1.0)
    low, high = found.effect.low, found.effect.high
    assert low is not None
    assert high is not None
    if found.verdict == "supported":
        assert low > -1
        assert high < 1
    if found.verdict == "refuted":
        assert high < -1 or low > 1


def share(verdict: str, judged: list[Judgement]) -> float:
    return sum(found.verdict == verdict for found in judged) / len(judged)


@pytest.mark.parametrize("one_sided", [False, True])
def test_effect_at_the_margin_is_rarely_supported_or_refuted(one_sided: bool) -> None:
    judged = [
        equivalence_test(world(seed, 1.0), margin=1.0, one_sided=one_sided)
        for seed in range(N_WORLDS)
    ]
    allowed = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / N_WORLDS)  # .083
    assert share("supported", judged) <= min(0.08, allowed)
    assert share("refuted", judged) <= 0.08


def test_two_draws_of_one_learner_are_supported() -> None:
    # Eight standard errors lie between no difference and the margin, on either side.
    judged = [
        equivalence_test(
            world(s, 0.0, MANY).minus(world(s + N_WORLDS, 0.0, MANY)), margin=1.0
        )
        for s in range(50)
    ]
    assert share("supported", judged) >= 0.9
    assert share("refuted", judged) == 0.0


def test_effect_beyond_the_margin_is_mostly_refuted() -> None:
    judged = [equivalence_test(world(s, 2.0, MANY), margin=1.0) for s in range(50)]
    assert share("refuted", judged) >= 0.9
    assert share("supported", judged) == 0.0


def arms_at(effect: float, seed: int, shape: tuple[int, int] = SHAPE) -> Judgement:
    floor, ceiling = world(3 * seed, 0.0, shape), world(3 * seed + 1, 4.0, shape)
    middle = world(3 * seed + 2, 4.0 * effect, shape)
    return ceiling_test(middle, floors=[floor], ceiling=ceiling, margin=0.2)


def test_similarity_at_its_margin_is_rarely_supported_or_refuted() -> None:
    judged = [arms_at(0.8, seed) for seed in range(150)]
    allowed = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 150)
    assert share("supported", judged) <= allowed
    assert share("refuted", judged) <= allowed


def test_similarity_at_its_ceiling_is_supported_and_halfway_is_refuted() -> None:
    for effect, verdict in ((1.1, "supported"), (0.5, "refuted")):
        judged = [arms_at(effect, seed, MANY) for seed in range(20)]
        assert share(verdict, judged) >= 0.9
