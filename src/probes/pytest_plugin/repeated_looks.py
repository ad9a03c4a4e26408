"""``--until-decided``: judge a cell again with more sets until it is decided."""

from __future__ import annotations

import pytest
from _pytest.runner import runtestprotocol  # as pytest-rerunfailures does

from probes.pytest_plugin.items import KEYS, NEXT, RUN, cell_of


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> object:
    """Run a cell's test once for each look, and report the last run only."""
    if item.config.stash[RUN].looks is None or cell_of(item) is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    while (larger := item.stash.get(NEXT, None)) is not None:
        item.callspec.params["cell"] = larger  # type: ignore[attr-defined]
        item.stash[KEYS], item.stash[NEXT] = [], None
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
