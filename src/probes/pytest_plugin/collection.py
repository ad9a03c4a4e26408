"""From claims to cells: which tests there are, in which order, and what they need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from probes.claims import ClaimCard
from probes.errors import UnknownNameError
from probes.models.untrained import trained_name
from probes.observations.request import Request
from probes.pytest_plugin.fixtures import requests_of
from probes.pytest_plugin.items import RUN, cell_of, claim_of, expected_of, name_of
from probes.pytest_plugin.judging import offered
from probes.run.icl_gate import gate_observations
from probes.verdicts.outcomes import Refuted


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> None:
    """Let a claim about learning in context pass through the gate first."""
    card = getattr(obj, "claim", None)
    if isinstance(card, ClaimCard):
        # The gate comes first and asks for its observations one by one; they are also
        # named here, so that the plan knows of them.
        gate = ["icl_gate", *gate_observations(card.on)] if card.needs_icl else []
        pytest.mark.usefixtures("cell", "judge", *gate)(obj)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a claim one test for each cell that can exist."""
    card: ClaimCard | None = getattr(metafunc.function, "claim", None)
    if card is not None:
        _require_known(metafunc, card)
        cells = metafunc.config.stash[RUN].grid.cells(card)
        metafunc.parametrize("cell", cells, ids=[c.id for c in cells], indirect=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Drop claims without cells, sort by model, expect what is recorded, and plan."""
    empty = [item for item in items if claim_of(item) and cell_of(item) is None]
    if empty:
        config.hook.pytest_deselected(items=empty)
    items[:] = sorted((i for i in items if i not in empty), key=_model_of)
    run = config.stash[RUN]
    cells = [item for item in items if cell_of(item) is not None]
    if empty and not items and run.worker is None:
        raise pytest.UsageError(run.grid.no_cell)
    for item in cells:
        found = expected_of(item)
        if config.option.update_expected:
            item.add_marker(pytest.mark.xfail(raises=Refuted, reason="recorded now"))
        elif found is not None and not found.forbids("refuted"):
            reason = f"{found.verdict} in the record"
            item.add_marker(
                pytest.mark.xfail(raises=Refuted, strict=found.is_strict, reason=reason)
            )
    if cells and run.worker in (None, "gw0") and not config.option.collectonly:
        run.plan(request for item in cells for request in planned(item))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note what must be reported, when there are no workers."""
    if not (session.config.option.plan or session.config.option.shard):
        collected = session.config.stash[RUN].collected
        collected.update(item.nodeid for item in session.items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Print the plan instead of running, if it was asked for."""
    if not session.config.option.plan:
        return None
    cells = set(filter(None, map(name_of, session.items)))
    print("", *session.config.stash[RUN].plan_lines(cells), sep="\n")
    return True


def _require_known(metafunc: pytest.Metafunc, card: ClaimCard) -> None:
    """Refuse a claim that asks for an observation that nobody offers."""
    known = metafunc.definition._fixtureinfo.name2fixturedefs
    direct = {"request", *(m for mark in _parametrized(metafunc) for m in mark)}
    for name in metafunc.fixturenames:
        if name not in known and name not in direct:
            error = UnknownNameError.of(
                f"observation for the claim {card.name!r}",
                name,
                offered(metafunc.config.pluginmanager.get_plugins()),
                expected="a name that fixtures/observations.py offers",
            )
            raise pytest.Collector.CollectError(str(error))


def _parametrized(metafunc: pytest.Metafunc) -> Iterable[list[str]]:
    """Read the names that a test's own marks give values to."""
    for mark in metafunc.definition.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs["argnames"]
        yield names.replace(",", " ").split() if isinstance(names, str) else names


def _model_of(item: Any) -> str:
    cell = cell_of(item)
    return "" if cell is None else trained_name(cell.model.name)


def planned(item: Any) -> Iterable[Request]:
    """Read a test's requests off its fixtures, before anything runs."""
    cell = cell_of(item)
    assert cell is not None
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        recipe = getattr(definitions[-1].func, "recipe", None)
        if recipe is not None:
            yield from _flat(requests_of(cell, recipe(cell)))


def _flat(requests: Any) -> Iterable[Request]:
    if isinstance(requests, Request):
        yield requests
        return
    parts = requests.values() if isinstance(requests, Mapping) else requests
    for part in parts:
        yield from _flat(part)
