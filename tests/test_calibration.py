"""The calibration study: what it committed holds today, and it sees what is wrong."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from probes import results, verdict
from probes.calibration import rules, study, whole
from probes.calibration.rules import RULES
from probes.calibration.study import HOME, adjusted
from probes.calibration.summary import ALLOWED, observed_shares, page, read_outcomes
from probes.calibration.worlds import PROFILES, WORLDS, World
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.measurement import Array
from probes.measures import prediction_distance
from probes.request import Request
from probes.statistics import estimate_mean, variance_components
from probes.tasks import Settings
from tests.running import ROOT

SUMMARY = ROOT / "reports" / "calibration" / "summary.json"
RUNS = 600
NAMES = [world.name for world in WORLDS]


def world(name: str) -> World:
    return next(w for w in WORLDS if w.name == name)


def committed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(SUMMARY.read_text("utf-8"))
    return found


def error(share: float, *runs: int) -> float:
    """Compute the Monte Carlo error of a difference of shares."""
    spread = max(share * (1 - share), 0.01)
    return math.sqrt(sum(spread / n for n in runs))


# ------------------------------------------------------------------- worlds


@pytest.mark.parametrize("name", NAMES)
def test_a_world_has_mean_0_and_the_error_of_its_shares(name: str) -> None:
    drawn = world(name).values(np.random.default_rng(0), 3000, *HOME)
    means = drawn.mean(axis=(1, 2))
    spread = means.std()
    assert abs(means.mean()) < 4 * spread / math.sqrt(3000)
    if not world(name).is_binary and "heavy" not in name:
        assert spread == pytest.approx(world(name).shares.error(*HOME), rel=0.12)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_worlds_components_are_its_shares(profile: str) -> None:
    drawn = world(f"normal, {profile}").values(np.random.default_rng(0), 300, 20, 60)
    found = [variance_components(values) for values in drawn]
    for part in ("sets", "queries", "rest"):
        values = [getattr(c, part) for c in found if c is not None]
        expected = getattr(PROFILES[profile], part)
        assert np.mean(values) == pytest.approx(expected, abs=0.03)


# ------------------------------------------------------- the committed table


def test_the_committed_rule_keeps_its_level_in_every_world() -> None:
    at = [
        row
        for row in committed()
        if row["rule"] == "instrument" and row["truth"] == "at the margin"
    ]
    assert len(at) == len(WORLDS) * len(study.SIZES) + len(PROFILES)
    assert max(row["false_supported"] for row in at) <= ALLOWED


@pytest.mark.parametrize(
    "name", ["normal, typical", "very skewed, sets differ", "answers, typical"]
)
def test_the_committed_table_holds_today(name: str) -> None:
    then = {
        (row["rule"], row["n_sets"], row["n_queries"], row["truth"]): row
        for row in committed()
        if row["world"] == name
    }
    for row in study.cells(world(name), runs=RUNS, slow_runs=60):
        was = then[row.rule, row.n_sets, row.n_queries, row.truth]
        for what in ("false_supported", "false_refuted", "power"):
            now, before = getattr(row, what), was[what]
            assert (now is None) == (before is None)
            if now is not None:
                allowed = 4.5 * error(before, row.runs, was["runs"])
                assert abs(now - before) <= allowed, (row, was)


def test_a_committed_matrix_in_which_nothing_holds_is_rarely_wrong() -> None:
    (row,) = [
        row
        for row in committed()
        if row["world"] == "48 cells, normal, typical"
        and row["truth"] == "0 inside, 48 at the margin"
        and row["rule"].endswith("corrected: Benjamini–Hochberg")
    ]
    assert row["false_supported"] <= ALLOWED


def test_the_page_is_written_from_the_table() -> None:
    written = (SUMMARY.parent / "README.md").read_text("utf-8")
    assert page(read_outcomes(SUMMARY.parent)) == written


# ------------------------------------------------------ what the study catches


def at_margin(rule: rules.Rule, name: str, size: tuple[int, int] = HOME) -> float:
    """Count false *supported* of a rule at the margin."""
    values = world(name).values(np.random.default_rng(1), 2000, *size)
    return float((rule(values, 0.0)[0] < verdict.ALPHA).mean())


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
    monkeypatch.setattr(verdict, "TAIL", -verdict.TAIL)
    found = at_margin(RULES["instrument"], "very skewed, typical")
    assert found > ALLOWED + 3 * error(0.06, 2000)


def test_forgetting_multiplicity_is_seen() -> None:
    rng = np.random.default_rng(0)
    normal = world("normal, typical")
    wrong = {"none": 0, "Benjamini–Hochberg": 0}
    for _ in range(200):
        p, _ = RULES["instrument"](normal.values(rng, 48, *HOME), 0.0)
        for correction in wrong:
            kept = np.array(adjusted(p.tolist(), correction, 8)) < verdict.ALPHA
            wrong[correction] += int(kept.any())
    assert wrong["none"] / 200 > 0.5
    assert wrong["Benjamini–Hochberg"] / 200 <= ALLOWED + 3 * error(0.06, 200)


def test_rows_are_corrected_as_the_study_corrects() -> None:
    p = [0.001, 0.02, 0.03, 0.2, 0.045]
    rows = [row(f"claim_{i % 2}", value) for i, value in enumerate(p)]
    results.correct(rows)
    found = [r["effects"][0]["p_adjusted"] for r in rows]
    assert found == pytest.approx(adjusted(p, "Benjamini–Hochberg", 2))
    kept = [r["verdict"] == "supported" for r in rows]
    assert kept == [value < verdict.ALPHA for value in found]


def row(claim: str, p: float) -> dict[str, Any]:
    return {
        "claim": claim,
        "effects": [{"p": p, "p_adjusted": None}],
        "p_supported": p,
        "p_refuted": 1.0,
        "alone": "supported",
        "verdict": "supported",
        "reason": None,
    }


# ------------------------------------------------------- the whole instrument


@pytest.fixture(scope="module")
def pretenders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    observer = Observer(Store(tmp_path_factory.mktemp("store")))
    found = whole.pretenders(whole._unit(observer))
    return {"observer": observer, **{p.name: p for p in found}}


def distance(pretenders: dict[str, Any], name: str) -> float:
    """Measure a pretender's true mean distance on very many tasks."""
    pretender = pretenders[name]
    settings = Settings(n_sets=4000, n_queries=4, n_calibration=200, seed=99)
    cell = whole._cell(pretender.model, settings)
    icl, gd = (
        pretenders["observer"].observe(Request.of(cell, learner))
        for learner in (whole.InContext(), pretender.claimed)
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
def test_a_pretender_is_as_far_away_as_it_says(
    pretenders: dict[str, Any], name: str, margins: float
) -> None:
    found = distance(pretenders, name)
    assert found == pytest.approx(margins * whole.MARGIN, rel=0.03, abs=1e-12)


@pytest.mark.parametrize("name", ["Newton", "noise in W_V"])
def test_another_algorithm_is_outside(pretenders: dict[str, Any], name: str) -> None:
    assert distance(pretenders, name) > 1.2 * whole.MARGIN


def test_choosing_on_the_verdicts_own_queries_is_seen() -> None:
    # A learner that draws 20 answers and keeps the one nearest to ICL on the queries
    # that judge it seems nearer than it is; chosen on other queries, it does not.
    rng = np.random.default_rng(0)
    leaked, fair = (
        np.mean([chosen(rng, leak=leak) for _ in range(300)]) for leak in (True, False)
    )
    true = math.sqrt(2 / math.pi)  # mean |difference| of the candidates
    assert fair == pytest.approx(true, abs=0.02)
    assert leaked < true - 0.05


def chosen(rng: np.random.Generator, *, leak: bool) -> float:
    seen = np.abs(rng.normal(size=(20, 40)))
    other = seen if leak else np.abs(rng.normal(size=(20, 40)))
    return float(seen[other.mean(axis=1).argmin()].mean())


def test_verdict_queries_are_never_calibration_queries() -> None:
    tasks = [
        Request.of(
            whole._cell(whole.pretenders(1.0)[0].model, Settings(n_calibration=10)),
            whole.FITTED,
            queries=queries,
        ).regression_task()
        for queries in ("verdict", "calibration")
    ]
    one, other = ({tuple(x) for x in t.queries.reshape(-1, 10)} for t in tasks)
    assert not one & other


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


def test_margin_of_a_world_is_its_stated_number_of_errors() -> None:
    values: Array = world("normal, typical").values(
        np.random.default_rng(0), 500, *HOME
    )
    errors = estimate_mean(values).error
    margin = study.ERRORS_TO_MARGIN * world("normal, typical").shares.error(*HOME)
    assert margin / np.sqrt((errors**2).mean()) == pytest.approx(3.5, rel=0.1)
