"""The calibration study: what it committed holds today, and it sees what is wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from probes.calibration import (
    estimated_units,
    gates,
    many_cells,
    rules,
    several_means,
    study,
    whole_instrument,
)
from probes.calibration.many_cells import OURS, adjusted
from probes.calibration.rules import RULES
from probes.calibration.simulations import PROFILES, SIMULATIONS, Simulation
from probes.calibration.study import HOME, ErrorRates
from probes.calibration.study_parts import replace_renewed
from probes.calibration.study_report import observed_shares, read_outcomes, study_page
from probes.calibration.tables import ALLOWED, share_text
from probes.cell import Settings
from probes.data.regression_tasks import RegressionTask
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.measurement import Array
from probes.measures import prediction_distance
from probes.observations.request import Request
from probes.results.matrix_correction import correct_verdicts
from probes.verdicts import decision
from probes.verdicts.crossed_means import estimate_mean, variance_components
from probes.verdicts.thresholds import ALPHA
from tests.support.running import ROOT

SUMMARY = ROOT / "reports" / "calibration" / "summary.json"
RUNS = 600
NAMES = [simulation.name for simulation in SIMULATIONS]


def simulation(name: str) -> Simulation:
    return next(w for w in SIMULATIONS if w.name == name)


def committed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(SUMMARY.read_text("utf-8"))
    return found


def error(share: float, *runs: int) -> float:
    """Compute the Monte Carlo error of a difference of shares."""
    spread = max(share * (1 - share), 0.01)
    return math.sqrt(sum(spread / n for n in runs))


# ------------------------------------------------------------------- simulations


@pytest.mark.parametrize("name", NAMES)
def test_a_simulation_has_mean_0_and_the_error_of_its_shares(name: str) -> None:
    drawn = simulation(name).values(np.random.default_rng(0), 3000, *HOME)
    means = drawn.mean(axis=(1, 2))
    spread = means.std()
    assert abs(means.mean()) < 4 * spread / math.sqrt(3000)
    if not simulation(name).is_binary and "heavy" not in name:
        assert spread == pytest.approx(simulation(name).shares.error(*HOME), rel=0.12)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_worlds_components_are_its_shares(profile: str) -> None:
    drawn = simulation(f"normal, {profile}").values(
        np.random.default_rng(0), 300, 20, 60
    )
    found = [variance_components(values) for values in drawn]
    for part in ("sets", "queries", "rest"):
        values = [getattr(c, part) for c in found if c is not None]
        expected = getattr(PROFILES[profile], part)
        assert np.mean(values) == pytest.approx(expected, abs=0.03)


# ------------------------------------------------------- the committed table


def test_the_committed_rule_keeps_its_level_in_every_simulation() -> None:
    at = [
        row
        for row in committed()
        if row["rule"] == "instrument" and row["truth"] == "at the margin"
    ]
    n_ratios = len(PROFILES) * (
        len(study.ROOMS) + len(study.FLOORS) + len(study.CEILINGS)
    )
    assert len(at) == len(SIMULATIONS) * len(study.SIZES) + n_ratios
    assert max(row["false_supported"] for row in at) <= ALLOWED
    assert max(row["false_refuted"] for row in at) <= ALLOWED


@pytest.mark.parametrize(
    ("kind", "n_lines"),
    [
        (f"rivals: {several_means.OURS}", 3 * len(SIMULATIONS)),
        (f"units: {estimated_units.OURS}", 8),
    ],
)
def test_the_committed_rules_for_rivals_and_units_keep_their_level(
    kind: str, n_lines: int
) -> None:
    found = [
        max(row["false_supported"] or 0.0, row["false_refuted"] or 0.0)
        for row in committed()
        if row["rule"] == kind and row["truth"] != "outside"
    ]
    assert len(found) == n_lines
    assert max(found) <= ALLOWED


def test_a_committed_gate_hardly_ever_hides_a_gain_of_four_errors() -> None:
    rows = [row for row in committed() if row["rule"] == gates.RULE]
    hidden = [row["false_refuted"] for row in rows if row["truth"] != "no gain"]
    passed = [row["false_supported"] for row in rows if row["truth"] == "no gain"]
    assert len(hidden) == 3 * len(passed) == 6 * len(SIMULATIONS)
    assert max(hidden) <= 0.01
    assert max(passed) <= ALLOWED


@pytest.mark.parametrize(
    "name", ["normal, typical", "very skewed, sets differ", "answers, typical"]
)
def test_the_committed_table_holds_today(name: str) -> None:
    then = {
        (row["rule"], row["n_sets"], row["n_queries"], row["truth"]): row
        for row in committed()
        if row["simulation"] == name
    }
    for row in study.single_cells(simulation(name), runs=RUNS, slow_runs=60):
        was = then[row.rule, row.n_sets, row.n_queries, row.truth]
        for what in ("false_supported", "false_refuted", "power"):
            now, before = getattr(row, what), was[what]
            assert (now is None) == (before is None)
            if now is not None:
                allowed = 4.5 * error(before, row.runs, was["runs"])
                assert abs(now - before) <= allowed, (row, was)


def test_a_committed_matrix_in_which_nothing_holds_is_rarely_wrong() -> None:
    found = [
        max(row["false_supported"], row["false_refuted"])
        for row in committed()
        if row["simulation"].startswith("48 cells, ")
        and row["truth"] == "0 inside, 48 at the margin"
        and row["rule"].endswith(OURS)
    ]
    assert len(found) == 2 * len(SIMULATIONS)  # also in threes
    assert max(found) <= ALLOWED


def test_the_page_is_written_from_the_table() -> None:
    written = (SUMMARY.parent / "README.md").read_text("utf-8")
    assert study_page(read_outcomes(SUMMARY.parent)) == written


# ------------------------------------------------------ what the study catches


def at_margin(rule: rules.Rule, name: str, size: tuple[int, int] = HOME) -> float:
    """Count false *supported* of a rule at the margin."""
    values = simulation(name).values(np.random.default_rng(1), 2000, *size)
    return float((rule(values, 0.0)[0] < ALPHA).mean())


@pytest.mark.parametrize(
    ("rule", "name", "n_sets"),
    [
        ("t over all pairs", "normal, typical", 10),  # no design at all
        ("t over sets", "normal, queries differ", 20),  # one way instead of crossed
        ("components, freedom of all values", "normal, sets are all", 5),
        ("components", "very skewed, typical", 10),  # no account of skewness
    ],
)
def test_a_wrong_rule_is_seen(rule: str, name: str, n_sets: int) -> None:
    wrong, right = (
        at_margin(RULES[r], name, (n_sets, 40)) for r in (rule, "instrument")
    )
    assert wrong > ALLOWED + 3 * error(0.06, 2000)
    assert right <= ALLOWED + 3 * error(0.06, 2000)


def test_a_rule_with_the_tail_on_the_wrong_side_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decision, "WIDENING", -0.5)
    found = at_margin(RULES["instrument"], "very skewed, typical")
    assert found > ALLOWED + 3 * error(0.06, 2000)


@pytest.mark.parametrize(
    ("correction", "name"),
    [
        ("none", "normal, typical"),
        ("Benjamini–Hochberg by claim", "normal, typical"),
        ("Benjamini–Hochberg", "very skewed, sets differ"),
    ],
)
def test_forgetting_multiplicity_is_seen(correction: str, name: str) -> None:
    (p, _), true = many_cells.draw(simulation(name), many_cells.SMALL, 0.0, runs=200)
    wrong, right = (
        many_cells.cells_that_stand(p, c)[:, ~true].any(axis=1).mean()
        for c in (correction, OURS)
    )
    assert wrong > ALLOWED + 3 * error(0.06, 200)
    assert right <= ALLOWED + 3 * error(0.06, 200)


def test_rows_are_corrected_as_the_study_corrects() -> None:
    p = [1e-9, 0.001, 0.02, 0.03, 0.2, 0.045]
    rows = [row(f"claim_{i % 2}", value) for i, value in enumerate(p)]
    correct_verdicts(rows)
    found = [r["effects"][0]["p_adjusted"] for r in rows]
    assert found == pytest.approx(adjusted(p, OURS, 2))
    kept = [r["verdict"] == "supported" for r in rows]
    assert kept == [value < ALPHA for value in found]


def test_the_same_comparison_counts_once() -> None:
    p = [0.001, 0.03, 0.04]
    once = [row("c", value) for value in p]
    twice = [row("c", value) for value in p for _ in range(3)]
    correct_verdicts(once)
    correct_verdicts(twice)
    adjusted_once = [r["effects"][0]["p_adjusted"] for r in once]
    adjusted_twice = [r["effects"][0]["p_adjusted"] for r in twice]
    assert adjusted_twice == [value for value in adjusted_once for _ in range(3)]


def test_the_same_numbers_of_another_network_count_again() -> None:
    rows = [row("c", 0.03), {**row("c", 0.03), "model": "another"}, row("c", 0.2)]
    correct_verdicts(rows)
    assert rows[0]["effects"][0]["p_adjusted"] == pytest.approx(0.045)


def test_refuted_has_a_least_p_too() -> None:
    rows = [row("c", 1e-9)] + [row("c", 0.9 + i / 1000) for i in range(47)]
    for one in rows:
        one |= {"p_refuted": one["p_supported"], "p_supported": 1.0, "alone": "refuted"}
        one["verdict"] = "refuted"
    correct_verdicts(rows)
    assert rows[0]["verdict"] == "inconclusive"
    assert "48 distinct comparisons" in rows[0]["reason"]


def row(claim: str, p: float) -> dict[str, Any]:
    return {
        "claim": claim,
        "model": "m",
        "dataset": "d",
        "n_demonstrations": 4,
        "effects": [
            {
                "p": p,
                "p_adjusted": None,
                "n_sets": HOME[0],
                "value": p,
                "margin": 0.1,
                "sets": [p],
            }
        ],
        "p_supported": p,
        "p_refuted": 1.0,
        "alone": "supported",
        "verdict": "supported",
        "reason": None,
    }


def worst_error(found: Iterable[ErrorRates], rule: str) -> float:
    """Take the largest error of a rule."""
    return max(
        max(o.false_supported or 0.0, o.false_refuted or 0.0)
        for o in found
        if o.rule == rule
    )


def test_to_judge_the_nearest_rival_of_the_sample_is_seen() -> None:
    found = list(
        several_means.rival_error_rates(simulation("normal, typical"), runs=800)
    )
    wrong = worst_error(found, f"rivals: {several_means.NEAREST}")
    assert wrong > ALLOWED
    assert worst_error(found, f"rivals: {several_means.OURS}") <= 0.05


def test_to_take_an_estimated_unit_as_known_is_seen() -> None:
    found = list(estimated_units.unit_error_rates(runs=800))
    wrong = worst_error(found, f"units: {estimated_units.KNOWN}")
    assert wrong > 2 * ALLOWED
    right = worst_error(found, f"units: {estimated_units.OURS}")
    assert right <= ALLOWED + 2 * error(0.06, 800)


# ------------------------------------------------------- the whole instrument


@pytest.fixture(scope="module")
def surrogates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    observer = Observer(Store(tmp_path_factory.mktemp("store")))
    found = whole_instrument.surrogates(whole_instrument._unit(observer))
    return {"observer": observer, **{p.name: p for p in found}}


def distance(surrogates: dict[str, Any], name: str) -> float:
    """Measure a surrogate's true mean distance on very many tasks."""
    surrogate = surrogates[name]
    settings = Settings(n_sets=4000, n_queries=4, n_calibration=200, seed=99)
    cell = whole_instrument._cell(surrogate.model, settings)
    icl, gd = (
        surrogates["observer"].observe(Request.of(cell, learner))
        for learner in (whole_instrument.InContext(), surrogate.claimed)
    )
    return prediction_distance(icl, gd).mean


@pytest.mark.parametrize(
    ("name", "margins"),
    [
        ("GD, rate fitted", 0.0),
        ("GD, half the margin off", 0.5),
        ("GD, the margin off", 1.0),
        ("GD, twice the margin off", 2.0),
    ],
)
def test_a_surrogate_is_as_far_away_as_it_says(
    surrogates: dict[str, Any], name: str, margins: float
) -> None:
    found = distance(surrogates, name)
    assert found == pytest.approx(
        margins * whole_instrument.MARGIN, rel=0.03, abs=1e-12
    )


@pytest.mark.parametrize("name", ["Newton", "noise in W_V"])
def test_another_algorithm_is_outside(surrogates: dict[str, Any], name: str) -> None:
    assert distance(surrogates, name) > 1.2 * whole_instrument.MARGIN


# What is fitted must be the same whatever the verdict's queries are. The two tests
# below break the instrument on purpose, and see that this check finds it.


def fitted_rates(observer: Observer, *, n_sets: tuple[int, int] = (10, 11)) -> set[Any]:
    """Fit GD to a network in cells that differ only in what the verdict sees.

    The network does Newton's method: no rate is right, so the best one depends on the
    tasks that it is fitted to.
    """
    (newton,) = (p for p in whole_instrument.surrogates(1.0) if p.name == "Newton")
    model = newton.model
    cells = [
        whole_instrument._cell(model, Settings(n_sets=n, n_calibration=10))
        for n in n_sets
    ]
    return {
        tuple(
            observer.observe(Request.of(cell, whole_instrument.FITTED)).facts[
                "settings"
            ]
        )
        for cell in cells
    }


def test_what_is_fitted_does_not_depend_on_the_verdicts_queries(
    tmp_path: Path,
) -> None:
    assert len(fitted_rates(Observer(Store(tmp_path)))) == 1


def test_fitting_to_the_verdicts_queries_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Request.regression_task

    def leaking(request: Request) -> RegressionTask:
        return honest(replace(request, queries="verdict"))

    monkeypatch.setattr(Request, "regression_task", leaking)
    assert len(fitted_rates(Observer(Store(tmp_path)))) == 2
    assert shared_queries()


def test_verdict_queries_are_never_calibration_queries() -> None:
    assert not shared_queries()


def shared_queries() -> set[tuple[float, ...]]:
    """List the queries that both a verdict and a fit see."""
    cell = whole_instrument._cell(
        whole_instrument.surrogates(1.0)[0].model, Settings(n_calibration=10)
    )
    one, other = (
        {
            tuple(x)
            for x in Request.of(cell, whole_instrument.FITTED, queries=queries)
            .regression_task()
            .queries.reshape(-1, 10)
        }
        for queries in ("verdict", "calibration")
    )
    return one & other


# -------------------------------------------------------------------- limits


def test_a_failure_in_rare_sets_is_out_of_reach() -> None:
    found = {(o.simulation, o.n_sets): o for o in study.rare_failures(runs=4000)}
    ten = found["one set in 10 fails", 10]
    assert ten.false_supported == pytest.approx(0.9**10, abs=0.03)


# --------------------------------------------------------------- the command


def test_a_share_has_clopper_and_pearsons_interval() -> None:
    # None of 1000: the upper end is 1 − .025^(1/1000).
    assert share_text(0.0, 1000) == f"0.0 [0.0, {100 * (1 - 0.025**1e-3):.1f}]"
    assert share_text(None, 1000) == ""


def outcome(rule: str, power: float) -> ErrorRates:
    return ErrorRates(
        rule=rule, simulation="w", n_sets=5, n_queries=4, truth="inside",
        false_supported=None, false_refuted=0.0, power=power, runs=9,
    )  # fmt: skip


def test_parts_that_run_again_replace_their_lines_alone() -> None:
    old, new = [outcome("a", 0.1), outcome("b", 0.2)], [outcome("b", 0.3)]
    assert replace_renewed(old, new) == [old[0], *new]


# -------------------------------------------------------------------- shares


def test_shares_are_summed_up_over_cells_with_enough_sets() -> None:
    def cell(sets: float, n_sets: int) -> dict[str, Any]:
        parts = {"sets": sets, "queries": 0.0, "rest": 1 - sets}
        return {"effects": [{"components": parts, "n_sets": n_sets, "n_queries": 40}]}

    rows = [cell(0.2, 10), cell(0.4, 10), cell(0.9, 5), {"effects": []}]
    found = observed_shares(rows)
    assert found["cells"] == 2
    assert found["sets"][3] == pytest.approx(0.3)


def test_no_rows_have_no_shares() -> None:
    assert observed_shares([]) == {"cells": 0}


def test_margin_of_a_simulation_is_its_stated_number_of_errors() -> None:
    values: Array = simulation("normal, typical").values(
        np.random.default_rng(0), 500, *HOME
    )
    errors = estimate_mean(values).error
    margin = study.ERRORS_TO_MARGIN * simulation("normal, typical").shares.error(*HOME)
    assert margin / np.sqrt((errors**2).mean()) == pytest.approx(3.5, rel=0.1)
