"""``--plant``: let a planted learner answer in place of ICL or of GD.

This module is not among the plugin's own. The calibration study loads it with
``-p probes.pytest_plugin.planting``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from probes.calibration.planted_observer import PlantedObserver
from probes.calibration.plants import PLANTS
from probes.engine.store import Store
from probes.pytest_plugin.items import RUN


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of a run with a planted learner."""
    group = parser.getgroup("planted truths")
    group.addoption("--plant", required=True, choices=list(PLANTS))
    group.addoption("--shared-store", required=True, type=Path, metavar="FOLDER")


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
