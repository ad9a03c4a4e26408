"""The plan of a run, without measuring: from requests, store and earlier rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import probes_fixtures.datasets
import probes_fixtures.models  # noqa: F401 - fills the registry
import pytest
from probes_fixtures.variants import PLAIN_GD

from probes.cell import Settings
from probes.engine.machine_speed import MachineSpeed
from probes.engine.observer import Observer
from probes.engine.progress import duration
from probes.engine.store import Store
from probes.learners import InContext, LinearLearner
from probes.observations.request import Request
from probes.run.grid import DATASETS, MODELS
from probes.run.plan import (
    Estimator,
    look_lines,
    plan_work,
    times_by_kind,
    work_lines,
)
from probes.run.planned_power import needed_sets, power_lines
from probes.verdicts.group_sequential import GroupSequentialDesign
from tests.support.running import run

SMALL = ("--sets", "4", "--queries", "6", "--calibration", "6", "--orders", "3")
GD = ("--models", "constructed_gd_1", "--datasets", "linear", "--demos", "10")


def asked(seed: int, learner: Any) -> Request:
    return Request(
        learner=learner,
        model=MODELS.get("constructed_gd_1"),
        dataset=DATASETS.get("linear"),
        n_demonstrations=10,
        settings=Settings(n_sets=3, n_queries=4, seed=seed),
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_every_observation_is_counted_once(store: Store) -> None:
    requests = [asked(0, InContext()), asked(0, InContext()), asked(1, InContext())]
    (work,) = plan_work(requests, Estimator(store)).values()
    assert (work.stored, work.missing, work.unknown) == (0, 2, 2)


def test_the_store_predicts_the_time_of_similar_observations(store: Store) -> None:
    gd = LinearLearner(algorithm="gd")
    Observer(store).observe(asked(0, InContext()))
    spent = store.facts(asked(0, InContext()).key)["seconds"]
    larger = replace(asked(7, InContext()), settings=Settings(n_sets=6, n_queries=4))
    requests = [asked(0, InContext()), asked(1, InContext()), asked(0, gd), larger]
    (work,) = plan_work(requests, Estimator(store)).values()
    assert (work.stored, work.missing, work.unknown) == (1, 3, 1)
    assert work.seconds == pytest.approx(3 * spent)  # one of 3 sets, and one of 6
    assert spent > 0


def test_other_learners_and_queries_are_of_another_kind() -> None:
    one = asked(0, LinearLearner(algorithm="gd"))
    assert one.kind == asked(1, LinearLearner(algorithm="gd")).kind
    assert one.kind != asked(0, LinearLearner(algorithm="ridge")).kind
    assert one.kind != replace(one, settings=Settings(n_queries=5)).kind


def test_an_entry_that_cannot_be_read_predicts_no_time(store: Store) -> None:
    path = store.path("ab" * 16)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"torn")
    assert store.facts("ab" * 16) == {}
    assert times_by_kind(store) == {}


SPEED = MachineSpeed(peak=1e9, bandwidth=1e9)


def lines_of(*requests: Request, store: Store, n_workers: int = 2) -> list[str]:
    work = plan_work(requests, Estimator(store))
    return work_lines(1, work, work, SPEED, n_workers=n_workers)


def test_a_plan_without_knowledge_estimates_from_the_machines_speed(
    store: Store,
) -> None:
    lines = lines_of(asked(0, InContext()), store=store)
    assert "1 cells need 1 observations: 0 stored, 1 to measure" in lines[0]
    assert lines[2].endswith("about 0 s for 1 (from the machine's speed)")
    assert lines[3].startswith("In all about 0 s with one worker")
    assert "2 workers" in lines[3]


def test_both_estimates_stand_side_by_side_where_only_some_kinds_are_stored(
    store: Store,
) -> None:
    Observer(store).observe(asked(0, InContext()))
    ridge = LinearLearner(algorithm="ridge")
    lines = lines_of(asked(1, InContext()), asked(1, ridge), store=store)
    assert "for 1 (from similar ones) and" in lines[2]
    assert "for 1 (from the machine's speed)" in lines[2]


def test_a_text_plan_states_what_it_foresees_and_the_limit(store: Store) -> None:
    text = replace(
        asked(0, PLAIN_GD),
        model=MODELS.get("hmm_llama"),
        dataset=DATASETS.get("hmm"),
        n_demonstrations=4,
    )
    (work,) = plan_work([text], Estimator(store)).values()
    assert work.missing == 4  # GD, the choice of its rate, and ICL and base for that
    assert work.estimate(SPEED) > work.estimate(SPEED, n_workers=2) > 0
    (last,) = (line for line in lines_of(text, store=store) if "FLOPs" in line)
    assert "(at most" in last
    assert "not counted" not in last


def test_a_plan_names_the_least_time_where_a_gate_may_close(store: Store) -> None:
    text = replace(
        asked(0, PLAIN_GD), model=MODELS.get("hmm_llama"), dataset=DATASETS.get("hmm")
    )
    whole = plan_work([text], Estimator(store))
    part = plan_work([replace(text, learner=InContext())], Estimator(store))
    lines = work_lines(1, whole, part, SPEED, n_workers=2)
    least = duration(part["hmm_llama"].estimate(SPEED))
    assert lines[2].endswith(f"(from the machine's speed), at least {least}")
    assert lines[4].endswith(f"at least {least} with one worker.")
    assert "at least" not in "".join(work_lines(1, whole, whole, SPEED, n_workers=2))


@pytest.mark.parametrize(
    ("claims", "is_gated"), [("test_output.py", True), ("test_weights.py", False)]
)
def test_only_claims_that_need_icl_may_end_early(
    claims: str, is_gated: bool, tmp_path: Path
) -> None:
    few = ("--models", "hmm_llama", "--datasets", "hmm", "--demos", "4", "-k")
    names = "4-gd] or sparse"
    planned = run(tmp_path, f"claims/{claims}", *few, names, *SMALL, "--plan")
    assert planned.status == 0
    assert ("at least" in planned.text) == is_gated


def test_hours_are_written_as_hours() -> None:
    assert [duration(s) for s in (89, 90, 5399, 7200)] == [
        "89 s",
        "2 min",
        "90 min",
        "2.0 h",
    ]


CELLS = {"c[gd]|m|d|4"}


def row(sets: float = 0.1, queries: float = 0.0) -> dict[str, Any]:
    parts = {"sets": sets, "queries": queries, "rest": 0.1}
    return {
        "claim": "c[gd]",
        "model": "m",
        "dataset": "d",
        "n_demonstrations": 4,
        "effects": [{"components": parts, "margin": 0.5}],
    }


def test_the_plan_says_how_many_sets_a_claim_needs() -> None:
    rows = [row(0.1, 0.0), row(4.0, 0.0), row(0.1, 90.0), row() | {"effects": []}]
    lines = power_lines(rows, cells=CELLS, settings=Settings())
    (line,) = (line for line in lines if line.startswith("c "))
    assert line.split()[1:] == ["3", "101", "no", "number"]
    assert "in 2 cells" in "\n".join(lines)
    assert any("needs 101 sets" in line for line in lines)


def test_both_sides_of_a_margin_need_more_sets_than_one() -> None:
    effect = row(4.0)["effects"][0]
    one, both = (
        needed_sets(effect, 40),
        needed_sets(effect | {"has_two_sides": True}, 40),
    )
    assert (one, both) == (101, 139)  # (1.645 + 1.282)² / (1.645 + .842)² = 1.39


def test_cells_that_are_not_planned_are_left_out() -> None:
    lines = power_lines(
        [row(0.1) | {"model": "other"}], cells=CELLS, settings=Settings()
    )
    assert "No earlier run" in lines[0]


def test_without_an_earlier_run_power_is_not_planned() -> None:
    assert "No earlier run" in power_lines([], cells=CELLS, settings=Settings())[0]


def test_a_plan_measures_nothing_and_writes_no_report(tmp_path: Path) -> None:
    claims = "claims/test_construction.py"
    found = run(tmp_path, claims, *GD, *SMALL, "--plan", "-n", "2")
    assert found.status == 0
    assert "to measure" in found.text
    assert "No earlier run has variances" in found.text
    assert not found.reports.exists()
    assert not list((tmp_path / "store").rglob("*.safetensors"))


def test_a_plan_counts_what_the_run_then_measures(tmp_path: Path) -> None:
    claims = "claims/test_construction.py::test_one_layer_is_one_step"
    planned = run(tmp_path, claims, *GD, *SMALL, "--plan")
    ran = run(tmp_path, claims, *GD, *SMALL)
    again = run(tmp_path, claims, *GD, *SMALL, "--plan")
    assert "0 stored" in planned.text
    said = int(planned.text.split(" stored, ")[1].split()[0])
    assert said <= ran.run["observations_measured"]  # self-tests come on top
    assert ", 0 to measure" in again.text


def test_a_plan_that_looks_again_says_that_it_is_of_the_first_look() -> None:
    (line,) = look_lines(GroupSequentialDesign(sizes=(10, 20, 40)))
    assert "again at 20, 40 sets" in line
    assert "level 0.0218" in line
    assert look_lines(None) == []
