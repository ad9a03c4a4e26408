"""From claims to cells: which tests there are, their order, and their observations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from probes.claims import ClaimCard
from probes.errors import UnknownNameError
from probes.models.untrained import trained_name
from probes.observations.model_needs import why_unanswerable
from probes.observations.request import Request
from probes.pytest_plugin.fixtures import planned_requests
from probes.pytest_plugin.items import RUN, cell_of, claim_of, expected_of, name_of
from probes.pytest_plugin.judging import offered
from probes.run.budget import PlannedCell
from probes.run.icl_gate import ICL_GATES, gate_observations
from probes.verdicts.outcomes import Refuted


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> None:
    """Give every claim its cell and judge, and the ICL gate if it needs ICL."""
    card = getattr(obj, "claim", None)
    if isinstance(card, ClaimCard):
        # The gate asks for its observations one by one. They are named here as well,
        # after it, so that the plan contains them.
        gate = ["icl_gate", *gate_observations(card.on)] if card.needs_icl else []
        pytest.mark.usefixtures("cell", "judge", *gate)(obj)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of a claim for each of its cells."""
    card: ClaimCard | None = getattr(metafunc.function, "claim", None)
    if card is not None:
        _require_known(metafunc, card)
        cells = metafunc.config.stash[RUN].grid.cells(card)
        metafunc.parametrize("cell", cells, ids=[c.id for c in cells], indirect=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Drop claims without cells, sort tests by model, mark known refutations, plan."""
    empty = [item for item in items if claim_of(item) and cell_of(item) is None]
    if empty:
        config.hook.pytest_deselected(items=empty)
    items[:] = sorted((i for i in items if i not in empty), key=_model_of)
    run = config.stash[RUN]
    _leave_out_unanswerable(config, items)
    _leave_out(config, items)
    cells = [item for item in items if cell_of(item) is not None]
    if empty and not items and run.worker is None:
        claims = (card.name for item in empty if (card := claim_of(item)))
        raise pytest.UsageError(run.grid.no_cell(claims))

    def requests() -> Iterator[Request]:
        return (request for item in cells for request in planned(item))

    run.requests = requests
    for item in cells:
        _mark_expected(item, is_recorded_now=config.option.update_expected)
    if cells and run.worker in (None, "gw0") and not config.option.collectonly:
        run.plan(requests())


def _leave_out_unanswerable(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the cells that ask of a model what its architecture cannot answer."""
    run, reasons = config.stash[RUN], dict[str, tuple[str, str]]()
    for item in items:
        if (cell := cell_of(item)) is None or not cell.model.answers_text:
            continue
        if reason := next(filter(None, map(why_unanswerable, planned(item))), ""):
            reasons[item.nodeid] = (cell.model.name, reason)
    if not reasons:
        return
    left_out = [item for item in items if item.nodeid in reasons]
    items[:] = [item for item in items if item.nodeid not in reasons]
    run.note_unanswerable(list(reasons.values()))
    config.hook.pytest_deselected(items=left_out)
    if not items and run.worker is None:
        raise pytest.UsageError(" ".join(run.unanswerable))


def _leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the cells for which ``--budget`` is too short."""
    run = config.stash[RUN]
    if config.option.budget is None or config.option.collectonly:
        return
    choice = run.choose_cells(
        [
            PlannedCell(
                test=item.nodeid,
                claim=card.name,
                cell=cell,
                requests=tuple(planned(item)),
            )
            for item in items
            if (cell := cell_of(item)) and (card := claim_of(item))
        ]
    )
    if choice.leaves_nothing and run.worker is None:
        raise pytest.UsageError(choice.leaves_nothing)
    tests = set(choice.tests)
    left_out = [item for item in items if item.nodeid in tests]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item.nodeid not in tests]


def _mark_expected(item: pytest.Item, *, is_recorded_now: bool) -> None:
    """Mark a test as an expected failure where a refutation is no surprise."""
    expected = expected_of(item)
    if is_recorded_now:
        item.add_marker(pytest.mark.xfail(raises=Refuted, reason="recorded now"))
    elif expected is not None and not expected.forbids("refuted"):
        reason, strict = f"{expected.verdict} in the record", expected.is_strict
        mark = pytest.mark.xfail(raises=Refuted, strict=strict, reason=reason)
        item.add_marker(mark)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note which tests must be reported, if there are no workers."""
    if not (session.config.option.plan or session.config.option.shard):
        collected = session.config.stash[RUN].collected
        collected.update(item.nodeid for item in session.items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Print the plan instead of running the tests, with ``--plan``."""
    if not session.config.option.plan:
        return None
    cells = set(filter(None, map(name_of, session.items)))
    lines = session.config.stash[RUN].plan_lines(cells, certain(session.items))
    print("", *lines, sep="\n")
    return True


def certain(items: Iterable[Any]) -> Iterator[Request]:
    """List what a run measures even where no demonstrations teach a model anything."""
    for item in items:
        if (card := claim_of(item)) is None or cell_of(item) is None:
            continue
        # Networks for regression are trained to learn in context, or written to.
        is_gated = card.needs_icl and card.on == "text"
        yield from compared(item, 0) if is_gated else planned(item)


def compared(item: Any, stage: int) -> list[Request]:
    """List what a requirement of the ICL gate compares; empty if there is none.

    Args:
        item: A test.
        stage: The place of the requirement, from 0.
    """
    card, cell = claim_of(item), cell_of(item)
    if card is None or cell is None or not card.needs_icl:
        return []
    known = item._fixtureinfo.name2fixturedefs
    requests = [
        planned_requests(cell, known[name][-1])
        for requirement in ICL_GATES[card.on][stage : stage + 1]
        for name in requirement.observations
    ]
    return requests if all(isinstance(each, Request) for each in requests) else []


def _require_known(metafunc: pytest.Metafunc, card: ClaimCard) -> None:
    """Refuse a claim that names an observation that does not exist."""
    known = metafunc.definition._fixtureinfo.name2fixturedefs
    direct = {"request", *(m for mark in _parametrized(metafunc) for m in mark)}
    for name in metafunc.fixturenames:
        if name not in known and name not in direct:
            error = UnknownNameError.of(
                f"observation for the claim {card.name!r}",
                name,
                offered(metafunc.config.pluginmanager.get_plugins()),
                expected="an observation that the fixtures offer",
            )
            raise pytest.Collector.CollectError(str(error))


def _parametrized(metafunc: pytest.Metafunc) -> Iterable[list[str]]:
    """List the arguments of each parametrize mark of a test."""
    for mark in metafunc.definition.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs["argnames"]
        yield names.replace(",", " ").split() if isinstance(names, str) else names


def _model_of(item: Any) -> str:
    cell = cell_of(item)
    return "" if cell is None else trained_name(cell.model.name)


def planned(item: Any) -> Iterable[Request]:
    """List the requests of a test's fixtures, before anything runs."""
    cell = cell_of(item)
    assert cell is not None
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        requests = planned_requests(cell, definitions[-1])
        if requests is not None:
            yield from _flat(requests)


def _flat(requests: Any) -> Iterable[Request]:
    if isinstance(requests, Request):
        yield requests
        return
    parts = requests.values() if isinstance(requests, Mapping) else requests
    for part in parts:
        yield from _flat(part)
