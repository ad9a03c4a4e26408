"""Sets nested in groups: both rules keep their level, each for its own population."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from probes.calibration.group_tables import groups_table
from probes.calibration.nested_groups import (
    GROUP_PROFILES,
    GROUP_SHAPES,
    GROUP_SHARES,
    GROUPS,
    N_GROUPS,
    N_SETS,
    NEW,
    SETS,
    THESE,
    GroupedSimulation,
    judged_rates,
    p_of_excess,
    rule_name,
)
from probes.calibration.study_report import read_outcomes
from probes.verdicts.crossed_means import estimate_mean
from probes.verdicts.decision import p_values
from probes.verdicts.thresholds import LEAST_SETS, are_few
from tests.support.running import ROOT

STUDY = ROOT / "reports" / "calibration"
RUNS = 400
ALLOWED = 0.065
"""ALPHA plus three Monte Carlo errors of 2000 runs."""


def simulation(**given: Any) -> GroupedSimulation:
    typical: dict[str, Any] = {
        "shape": "normal",
        "profile": "sets are all",
        "group_share": 0.6,
        "n_groups": 8,
        "n_sets": 20,
    }
    return GroupedSimulation(**typical | given)


def committed(units: str, population: str) -> list[dict[str, Any]]:
    rows = json.loads((STUDY / "summary.json").read_text("utf-8"))
    return [row for row in rows if row["rule"] == rule_name(units, population)]


@pytest.mark.parametrize("population", [THESE, NEW])
@pytest.mark.parametrize("n_sets", [16, 20])
def test_the_mean_has_the_error_that_is_stated_for_the_population(
    population: str, n_sets: int
) -> None:
    drawn = simulation(n_sets=n_sets)
    values, of_these = drawn.values(np.random.default_rng(0), 2000)
    means = (values - (of_these if population == THESE else 0.0)).mean(axis=(1, 2))
    assert abs(means.mean()) < 4 * means.std() / math.sqrt(2000)
    # Twenty sets of eight groups: some groups count once more than others.
    assert means.std() == pytest.approx(drawn.error(population), rel=0.08)


@pytest.mark.parametrize("n_sets", [8, 12])
def test_the_study_judges_as_the_instrument_does(n_sets: int) -> None:
    drawn = simulation(shape="very skewed", n_sets=n_sets)
    values, _ = drawn.values(np.random.default_rng(0), 20)
    few = are_few(values.shape)
    found = p_of_excess(estimate_mean(values), -0.3, few=few)
    expected = p_values(values, 0.3, one_sided=True)
    np.testing.assert_allclose(found, expected)


def test_to_take_sets_for_independent_draws_of_new_groups_is_seen() -> None:
    drawn = simulation(n_groups=8, n_sets=80, group_share=0.9)
    at = {row.rule: row for row in judged_rates(drawn, RUNS) if row.power is None}
    assert (at[rule_name(SETS, NEW)].false_supported or 0.0) > 0.2
    assert (at[rule_name(GROUPS, NEW)].false_supported or 0.0) < 0.08
    assert (at[rule_name(SETS, THESE)].false_supported or 0.0) < 0.08


@pytest.mark.parametrize(("units", "population"), [(SETS, THESE), (GROUPS, NEW)])
def test_the_committed_rules_keep_their_level_where_they_decide(
    units: str, population: str
) -> None:
    rows = committed(units, population)
    n_simulations = len(GROUP_SHAPES) * len(GROUP_PROFILES) * len(GROUP_SHARES)
    assert len(rows) == 3 * n_simulations * len(N_GROUPS) * len(N_SETS)
    for row in rows:
        n_groups = int(row["simulation"].partition(" ")[0])
        n_units = min(n_groups, row["n_sets"]) if units == GROUPS else row["n_sets"]
        if n_units >= LEAST_SETS and row["truth"] == "at the margin":
            assert row["false_supported"] <= ALLOWED, row
            assert row["false_refuted"] <= ALLOWED, row


def test_the_committed_table_shows_the_mistake() -> None:
    worst = max(row["false_supported"] or 0.0 for row in committed(SETS, NEW))
    assert worst > 0.2


def test_the_table_says_which_designs_give_no_verdict() -> None:
    lines = groups_table(read_outcomes(STUDY))
    four = [line for line in lines if line.startswith("| new groups | groups | 4 |")]
    assert len(four) == len(N_SETS)
    assert all("| no |" in line for line in four)
    assert sum("| no |" in line for line in lines) == len(four)
