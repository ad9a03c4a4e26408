"""Sets nested in groups: the population of a verdict decides what its units are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from probes.cell import Cell, Settings
from probes.claims import ClaimCard
from probes.measurement import Array, Measurement
from probes.verdicts.decision import p_values
from probes.verdicts.group_means import (
    GroupMeans,
    Population,
    RowGroups,
    average_by_group,
    group_means,
)
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Refuted, Undecided
from tests.support.cards import dataset, model

CLAIM = ClaimCard(name="c", sentence="s", source="s", on="text")
N_SETS, N_QUERIES = 80, 40
OF_8 = RowGroups(n_groups=8, speaks_of="these groups")
NEW = OF_8.other


def judge_of(groups: RowGroups | None, *, kind: Any = "learned", **sizes: Any) -> Judge:
    settings = Settings(**{"n_sets": N_SETS, "n_queries": N_QUERIES, **sizes})
    cell = Cell(
        model=model("m", kind=kind),
        dataset=dataset("d"),
        n_demonstrations=4,
        settings=settings,
    )
    return Judge(CLAIM, cell, groups=groups)


def measured(values: Array, **others: Any) -> Measurement:
    return Measurement(name="gap", values=values, unit="fraction", **others)


def grouped(mean: float, *, between: float, n_sets: int = N_SETS) -> Measurement:
    """Draw sets of eight groups whose means differ."""
    rng = np.random.default_rng(3)
    groups = between * stats.zscore(rng.normal(size=8))
    noise = rng.normal(size=(n_sets, N_QUERIES)) / 20
    return measured(mean + groups[np.arange(n_sets) % 8][:, None] + noise)


def concluded(judge: Judge) -> Judge:
    with pytest.raises((Refuted, Undecided)):
        judge.conclude(None)
    return judge


# ------------------------------------------------------------------------------ means


def test_sets_take_turns_among_groups_and_every_group_counts_once() -> None:
    values = np.array([[0.0, 1.0], [10.0, 11.0], [2.0, 3.0]])  # groups A, B, A
    assert average_by_group(values, 2).tolist() == [[1.0, 2.0], [10.0, 11.0]]
    stack = np.stack([values, -values])
    assert average_by_group(stack, 2)[1].tolist() == [[-1.0, -2.0], [-10.0, -11.0]]


def test_groups_without_a_set_are_no_units() -> None:
    values = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(average_by_group(values, 8), values)


def test_the_test_of_new_groups_is_students_t_over_means_of_groups() -> None:
    of_group = 0.1 + np.array([0.2, -0.2, 0.1, -0.1, 0.4, -0.4, 0.3, -0.3, 0.0, 0.0])
    values = np.repeat(np.tile(of_group, 3)[:, None], N_QUERIES, axis=1)
    inside, _ = p_values(average_by_group(values, 10) * -1, 0.0, one_sided=True)
    student = stats.ttest_1samp(of_group, 0.0, alternative="greater")
    assert float(inside) == pytest.approx(student.pvalue)  # they are not skewed


def test_bounds_and_units_are_averaged_too() -> None:
    values = np.arange(6.0).reshape(3, 2)
    unit = np.array([[1.0, 1.0], [2.0, 2.0], [0.0, 0.0]])
    one = measured(values, least=values - 1, most=values + 1, unit_values=unit)
    means = group_means(one, RowGroups(n_groups=2, speaks_of="new groups"))
    assert means.unit_values is not None
    assert means.unit_values.mean() == pytest.approx(1.0)
    size = 1.25  # of the unit: group A has 1/2, group B has 2
    np.testing.assert_allclose(means.values, average_by_group(values, 2) / size)
    np.testing.assert_allclose(means.at_most().values - means.values, 1 / size)
    assert isinstance(means.minus(means), GroupMeans)


# --------------------------------------------------------------------------- verdicts


@pytest.mark.parametrize(
    ("groups", "verdict", "other"),
    [(OF_8, "supported", "inconclusive"), (NEW, "inconclusive", "supported")],
)
def test_groups_that_differ_decide_less_about_new_groups(
    groups: RowGroups, verdict: str, other: str
) -> None:
    judge = judge_of(groups)
    judge.agrees(grouped(0.0, between=0.15), margin=0.1)
    assert judge.judgement is not None
    assert judge.judgement.verdict == verdict
    if verdict == "supported":
        judge.conclude(None)
    else:
        concluded(judge)
    assert judge.other_judgement is not None
    assert judge.other_judgement.verdict == other
    assert f"the verdict holds for {groups.population}" in judge.note
    assert f"for {groups.other.population}, it would be {other}" in judge.note
    row = judge.population_to_row()
    assert row is not None
    assert (row["speaks_of"], row["n_groups"]) == (groups.speaks_of, 8)
    assert row["other"]["verdict"] == other


@pytest.mark.parametrize("groups", [OF_8, NEW])
def test_where_groups_are_alike_both_populations_agree(groups: RowGroups) -> None:
    judge = judge_of(groups)
    judge.agrees(grouped(0.0, between=0.0), margin=0.1)
    judge.conclude(None)
    assert judge.other_judgement is not None
    assert judge.other_judgement.verdict == "supported"
    assert "it would be" not in judge.note


def test_a_row_counts_groups_where_groups_are_units() -> None:
    judge = judge_of(NEW)
    judge.record(arm=grouped(0.0, between=0.1))
    judge.stays_below(grouped(0.0, between=0.15), margin=0.1)
    assert judge.judgement is not None
    effect, shown = judge.judgement.effect, judge.secondary_effects[0]
    assert effect.counts_groups
    assert shown.counts_groups
    assert (effect.n_sets, shown.n_sets) == (8, 8)
    assert len(effect.sets or ()) == 8
    assert "groups of rows would decide it" in judge.judgement.reason


@pytest.mark.parametrize("call", ["ceiling", "nearest", "exceeds", "dismiss"])
def test_every_judging_method_sees_means_of_groups(call: str) -> None:
    judge = judge_of(NEW)
    low, middle, high = (grouped(mean, between=0.05) for mean in (0.0, 0.5, 1.0))
    if call == "ceiling":
        judge.reaches_ceiling(middle, floors={"a": low}, ceiling=high, margin=0.1)
    elif call == "nearest":
        judge.is_nearest(high, {"a": low, "b": middle}, tolerance=1e-9, margin=0.1)
    elif call == "exceeds":
        judge.exceeds(high, margin=0.1)
    else:
        with pytest.raises(Undecided):
            judge.dismiss("there is none", low)
    assert judge.judgement is not None
    assert judge.judgement.effect.n_sets == 8


@pytest.mark.parametrize("population", ["these groups", "new groups"])
def test_a_gate_asks_for_a_gain_in_the_population(population: Population) -> None:
    gain = grouped(0.1, between=0.3)
    judge = judge_of(RowGroups(n_groups=8, speaks_of=population))
    if population == "new groups":
        with pytest.raises(Undecided, match="more groups of rows may decide"):
            judge.requires(gain, otherwise="nothing")
        return
    judge.requires(gain, otherwise="nothing")
    judge.exceeds(gain, margin=0.01)
    judge.conclude(None)
    assert judge.other_judgement is not None
    assert "may decide" in judge.other_judgement.reason


def test_fewer_than_five_groups_decide_nothing_about_new_ones() -> None:
    judge = judge_of(RowGroups(n_groups=4, speaks_of="new groups"))
    judge.agrees(measured(np.zeros((N_SETS, N_QUERIES))), margin=0.1)
    assert judge.judgement is not None
    assert judge.judgement.verdict == "inconclusive"
    assert "the spread of 4 groups of rows is unknown" in judge.judgement.reason
    assert "omit --new-groups" in judge.judgement.reason


def test_an_unfinished_search_refutes_nothing_in_either_population() -> None:
    judge = judge_of(OF_8)
    judge.unfinished.append("the criterion still falls")
    judge.agrees(grouped(1.0, between=0.0), margin=0.1)
    concluded(judge)
    assert judge.other_judgement is not None
    assert judge.other_judgement.verdict == "inconclusive"


def test_values_that_are_not_by_set_and_query_have_no_groups() -> None:
    judge = judge_of(NEW)
    layers = measured(np.zeros((4, 3)))
    assert judge.view(layers) is layers
    assert judge.view("a remark") == "a remark"


def test_without_groups_a_row_says_nothing_of_them() -> None:
    for judge in (judge_of(None), judge_of(OF_8, kind="constructed")):
        judge.vanishes(measured(np.zeros((N_SETS, N_QUERIES))), tolerance=1, margin=1)
        judge.conclude(None)
        assert judge.population_to_row() is None
        assert "groups" not in judge.note
