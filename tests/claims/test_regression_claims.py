"""Claims about scales and depth are judged as the truth is, on constructed networks."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from probes_fixtures.elsewhere import tasks_elsewhere

import claims.test_construction as claimed
from probes.cards import LinearTasks
from probes.cell import Cell, Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import AlgorithmTrajectory, InContext, LinearLearner
from probes.measures import sensitivity_distance
from probes.observations.observation import Observation
from probes.observations.request import Learner, Request
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Refuted

HOME = LinearTasks()


class Cells:
    """Observes a constructed network on the plain tasks, and judges claims about it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.cell = Cell(
            model=model_named(name),
            dataset=dataset_named("linear"),
            n_demonstrations=10,
            settings=Settings(),
        )
        self.observer = Observer(Store(folder))

    def observe(self, learner: Learner, tasks: LinearTasks = HOME) -> Observation:
        request = Request.of(self.cell, learner)
        dataset = replace(self.cell.dataset, rows=tasks)
        return self.observer.observe(replace(request, dataset=dataset))

    def verdict(self, claim: Any, *observed: Any) -> str:
        judge = Judge(claim.claim, self.cell)
        claim(*observed, judge)
        with contextlib.suppress(Refuted):
            judge.conclude(None)
        assert judge.judgement is not None
        return judge.judgement.verdict


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("constructed_gd_4", "supported"),
        ("constructed_gdpp_4", "supported"),
        ("constructed_newton_4", "refuted"),
    ],
)
def test_gd_grows_linearly_with_depth_and_newton_exponentially(
    name: str, verdict: str, tmp_path: Path
) -> None:
    cells = Cells(tmp_path, name)
    depth = 4 + cells.cell.model.n_setup_layers
    gd = LinearLearner(algorithm="gd")
    layers = [cells.observe(InContext(depth=k + 1)) for k in range(depth)]
    equal = [cells.observe(replace(gd, steps=k, fitted_steps=4)) for k in (1, 2, 3, 4)]
    doubling = [
        cells.observe(replace(gd, steps=k, fitted_steps=15)) for k in (1, 3, 7, 15)
    ]
    run = cells.observe(AlgorithmTrajectory(of=gd, counts=(0, 1, 2, 4, 8)))
    claim = claimed.test_layers_are_equal_steps
    assert cells.verdict(claim, layers, equal, doubling, {"gd": run}) == verdict


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("constructed_gd_1", "supported"), ("spoiled_gd_1", "refuted")],
)
def test_losses_are_gds_at_every_scale_only_if_the_network_is_gd(
    name: str, verdict: str, tmp_path: Path
) -> None:
    cells = Cells(tmp_path, name)
    gd = LinearLearner(algorithm="gd", fitted_on=HOME)
    tasks = tasks_elsewhere(HOME)
    assert len(tasks) == 10
    ours, theirs = (
        {where: cells.observe(learner, there) for where, there in tasks.items()}
        for learner in (InContext(), gd)
    )
    assert cells.verdict(claimed.test_same_loss_elsewhere, ours, theirs) == verdict


def test_sensitivities_are_in_units_of_the_teachers_whatever_their_size(
    tmp_path: Path,
) -> None:
    cells = Cells(tmp_path, "constructed_preconditioned_gd_1")
    gd = LinearLearner(algorithm="gd", fitted_on=HOME)
    strong = replace(HOME, teacher_scale=3.0)
    plain, larger = (
        sensitivity_distance(*(cells.observe(one, there) for one in (InContext(), gd)))
        for there in (HOME, strong)
    )
    assert larger.mean == pytest.approx(plain.mean, rel=1e-6)
    raw = cells.observe(InContext()).sensitivities - cells.observe(gd).sensitivities
    size = float((raw**2).sum(axis=-1).mean()) ** 0.5
    assert plain.mean == pytest.approx(size, rel=0.35)  # ten teachers from N(0, I)
