"""``--store-limit``: remove the least recently used observations after the run."""

from __future__ import annotations

import pytest

from probes.engine.store_inventory import parse_size, prune
from probes.errors import ProbesError
from probes.pytest_plugin.items import RUN


def pytest_sessionstart(session: pytest.Session) -> None:
    """Check the limit before anything is collected."""
    try:
        parse_size(session.config.option.store_limit or "0")
    except ProbesError as error:
        raise pytest.UsageError(f"--store-limit: {error}") from error


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Prune the store, after the report has read what it needs."""
    run, limit = session.config.stash[RUN], session.config.option.store_limit
    if limit is not None and run.worker is None:
        prune(run.store, parse_size(limit))
