"""``--plant``: let a planted learner answer in place of ICL or of GD.

With ``--redraws``, every cell is judged many times, each time on ten of the sets that
``--sets`` asks for. This module is not among the plugin's own. The calibration study
loads it with ``-p probes.pytest_plugin.planting``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol  # as pytest-rerunfailures does

from probes.calibration.planted_observer import PlantedObserver
from probes.calibration.plants import PLANTS
from probes.calibration.redrawn_sets import SETS_JUDGED, SetDraw, write_redraws
from probes.engine.store import Store
from probes.pytest_plugin.items import KEYS, RUN, cell_of
from probes.results.rows import Row
from probes.run.row_groups import row_groups

REDRAWN = pytest.StashKey[list[list[Row]]]()
"""For every draw, the rows of all cells."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of a run with a planted learner."""
    group = parser.getgroup("planted truths")
    group.addoption("--plant", required=True, choices=list(PLANTS))
    group.addoption("--shared-store", required=True, type=Path, metavar="FOLDER")
    group.addoption("--redraws", type=int, default=0, metavar="N")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give the run an observer in which the planted learner answers."""
    run, option = config.stash[RUN], config.option
    usual = run.observer
    run.observer = PlantedObserver(
        usual.store,
        shared=Store(option.shared_store),
        plant=PLANTS[option.plant],
        limit=usual.limit,
        announce=usual.announce,
        sharing=usual.sharing,
    )
    redrawn: list[list[Row]] = [[] for _ in range(option.redraws)]
    config.stash[REDRAWN] = redrawn


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: Any, nextitem: pytest.Item | None) -> object:
    """Judge a cell once for every draw, and report the last judgement only."""
    if cell_of(item) is None or not item.config.stash[REDRAWN]:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _judge_all_draws(item, nextitem):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _judge_all_draws(
    item: Any, nextitem: pytest.Item | None
) -> Sequence[pytest.TestReport]:
    """Keep the rows of every draw; return the reports of the last one."""
    run, cell = item.config.stash[RUN], item.callspec.params["cell"]
    groups = row_groups(cell, run.population)
    few = replace(cell.settings, n_sets=SETS_JUDGED)
    item.callspec.params["cell"] = replace(cell, settings=few)
    reports: list[pytest.TestReport] = []
    for number, rows in enumerate(item.config.stash[REDRAWN]):
        run.observer.draw = SetDraw.of(
            n_pool=cell.settings.n_sets,
            n_sets=SETS_JUDGED,
            n_groups=groups.n_groups if groups else 1,
            seed=number,
        )
        item.stash[KEYS] = []
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        rows += _rows_of(reports)
    run.observer.forget_pool()
    return reports


def _rows_of(reports: Sequence[pytest.TestReport]) -> list[Row]:
    given = (dict(report.user_properties).get("probes") for report in reports)
    return [json.loads(str(data))["row"] for data in given if data is not None]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Count the verdicts of all draws, beside the report."""
    redrawn = session.config.stash[REDRAWN]
    if redrawn:
        write_redraws(redrawn, session.config.stash[RUN].paths.reports)
