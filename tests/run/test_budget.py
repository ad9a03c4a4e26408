"""A budget measures the most telling cells first, and says what it leaves out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import probes_fixtures.datasets
import probes_fixtures.models  # noqa: F401 - fills the registry
import pytest
from probes_fixtures.variants import gradient_learner

from probes.cell import Cell, Settings
from probes.engine.machine_speed import MachineSpeed
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import OptionError
from probes.learners import InContext
from probes.observations.request import Request
from probes.run.budget import (
    Budget,
    BudgetFile,
    PlannedCell,
    left_out_lines,
    parse_budget,
)
from probes.run.grid import DATASETS, MODELS
from probes.run.plan import Estimator
from tests.support.running import run

SPEED = MachineSpeed(peak=1e9, bandwidth=1e9)
SIZES = Settings(n_sets=2, n_queries=3, n_calibration=4)


def planned(
    variant: str | None, *, n: int = 4, model: str = "hmm_llama", data: str = "hmm"
) -> PlannedCell:
    cell = Cell(
        model=MODELS.get(model),
        dataset=DATASETS.get(data),
        n_demonstrations=n,
        settings=SIZES,
        variant=variant,
    )
    learner = gradient_learner(cell)
    return PlannedCell(
        test=f"claims/test_a.py::test_b[{cell.id}]",
        claim="same_answer",
        cell=cell,
        requests=(Request.of(cell, learner), Request.of(cell, InContext())),
    )


def budget(seconds: float, store: Path, n_workers: int = 1) -> Budget:
    return Budget(seconds, Estimator(Store(store)), SPEED, n_workers=n_workers)


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("45m", 2700), ("90s", 90), ("1.5h", 5400)]
)
def test_a_budget_is_a_number_with_a_unit(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds
    assert parse_budget(None) is None


@pytest.mark.parametrize("text", ["", "2", "h", "0m", "-1h", "1 day", "1h30m", "nanh"])
def test_any_other_budget_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"--budget is .* Expected .* Pass"):
        parse_budget(text)


def test_gd_comes_first_then_other_optimisers_then_sub_models(tmp_path: Path) -> None:
    cells = [planned(v, n=n) for n in (2, 4) for v in ("gd_last_W_V", "adam", "gd")]
    ordered = sorted(cells, key=lambda cell: cell.rank)
    places = [(c.cell.variant, c.cell.n_demonstrations) for c in ordered]
    kinds = ("gd", "adam", "gd_last_W_V")
    assert places == [(v, n) for v in kinds for n in (4, 2)]
    first = budget(1e9, tmp_path).price([ordered[0]])
    left = budget(1.01 * first, tmp_path).left_out(cells)
    assert len(left) == 5
    assert ordered[0] not in left


def test_enough_time_leaves_nothing_out(tmp_path: Path) -> None:
    cells = [planned("gd"), planned("adam")]
    whole = budget(1e9, tmp_path).price(cells)
    assert budget(whole * 1.001, tmp_path).left_out(cells) == []
    assert budget(whole * 0.999, tmp_path).left_out(cells) == [cells[1]]


def test_what_is_shared_or_stored_costs_nothing_more(tmp_path: Path) -> None:
    cells = [planned("gd"), replace(planned("gd"), test="another", claim="other")]
    one = budget(1e9, tmp_path).price(cells[:1])
    assert budget(1.01 * one, tmp_path).left_out(cells) == []
    icl = replace(planned(None), requests=planned(None).requests[1:])
    assert budget(1e-9, tmp_path).left_out([icl]) == [icl]
    Observer(Store(tmp_path)).observe(icl.requests[0])
    assert budget(1e-9, tmp_path).left_out([icl]) == []


def test_every_model_gets_its_share(tmp_path: Path) -> None:
    large = {"model": "text_llama", "data": "opinions"}
    cells = [planned("adam", **large), planned("gd", **large), planned("gd")]
    small = budget(1e9, tmp_path).price(cells[2:])
    gd = budget(1e9, tmp_path).price(cells[1:2])
    assert gd > 2 * small
    # The small model leaves most of its half to the large one.
    assert budget(1.01 * (small + gd), tmp_path).left_out(cells) == cells[:1]


def test_more_workers_do_more_in_the_same_time(tmp_path: Path) -> None:
    cells = [planned("gd")]
    prices = [budget(1, tmp_path, n_workers=n).price(cells) for n in (1, 2)]
    assert prices[0] > prices[1] > prices[0] / 2


def test_the_lines_count_by_claim_variant_and_demonstrations() -> None:
    cells = [planned("adam"), planned("adam", model="text_llama"), planned(None, n=8)]
    first, *rest = left_out_lines(cells, 9, budget="2h", seconds=7200)
    assert first.startswith("--budget 2h left out 3 of 9 cells. They take about 2.0 h")
    assert "without --budget" in first
    assert rest == [
        "  same_answer[adam], 4 demonstrations: 2",
        "  same_answer, 8 demonstrations: 1",
    ]
    assert left_out_lines([], 9, budget="2h", seconds=0) == []


def test_the_first_process_chooses_for_all(tmp_path: Path) -> None:
    cells, file = [planned("gd"), planned("adam")], BudgetFile(tmp_path / "run")
    assert file.read() is None
    file.agree(budget(1e-9, tmp_path), "1s", cells)
    file.agree(budget(1e9, tmp_path), "1s", cells)  # has seen a fuller store
    choice = file.read()
    assert choice is not None
    assert choice.tests == tuple(cell.test for cell in cells)
    assert "left out 2 of 2 cells" in choice.leaves_nothing


CLAIM = ("claims/test_output.py", "--models", "hmm_llama", "--sets", "2")
TINY = ("--queries", "2", "--calibration", "2", "--demos", "4", "--effort", "quick")


def test_a_run_without_time_measures_nothing_and_says_so(tmp_path: Path) -> None:
    for workers in ("0", "2"):
        found = run(tmp_path, *CLAIM, *TINY, "--budget", "0.001s", "-n", workers)
        assert found.status == 4
        assert "--budget 0.001s left out" in found.text
        assert "Pass a larger --budget" in found.text


def test_a_run_with_a_budget_reports_what_it_left_out(tmp_path: Path) -> None:
    few = ("-k", "same_order_sensitivity or robust_to_weight_change", *TINY)
    claims = ("claims/", "--models", "hmm_llama", "--sets", "2")
    stored = run(tmp_path, *claims, "-k", "robust_to_weight_change", *TINY, "--raw")
    found = run(tmp_path, *claims, *few, "--budget", "0.01s", "-n", "2")
    assert {row["claim"] for row in found.rows} == {row["claim"] for row in stored.rows}
    assert any("--budget 0.01s left out" in line for line in found.run["left_out"])
    assert "same_order_sensitivity" in " ".join(found.run["left_out"])
    assert "left out" in (found.reports / "summary.md").read_text("utf-8")
    assert found.run["complete"]
    assert {row["provenance"]["effort"] for row in found.rows} == {"quick"}


def test_a_plan_shows_what_a_budget_leaves_out(tmp_path: Path) -> None:
    found = run(tmp_path, *CLAIM, *TINY, "--budget", "5s", "--plan", "-n", "2")
    assert found.status == 0
    assert "--budget 5s left out" in found.text
    assert "deselected" in found.text


def test_a_shard_takes_no_budget(tmp_path: Path) -> None:
    found = run(tmp_path, *CLAIM, *TINY, "--budget", "5s", "--shard", "1/2")
    assert found.status == 4
    assert "--budget 5s and --shard 1/2 were both given" in found.text
