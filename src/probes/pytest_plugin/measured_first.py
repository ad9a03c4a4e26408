"""``--engine`` and ``--shard``: the plan is measured before anything is judged."""

from __future__ import annotations

from typing import Any

import pytest

from probes.errors import ProbesError
from probes.observations.request import Request
from probes.pytest_plugin.collection import planned
from probes.pytest_plugin.fixtures import requests_of
from probes.pytest_plugin.items import RUN, cell_of, claim_of
from probes.run.icl_gate import ICL_GATES
from probes.run.prefetch import Measuring
from probes.run.session import Run
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Undecided


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Measure the plan, if an engine or a part of it was asked for."""
    option = session.config.option
    if option.plan or option.collectonly or not (option.engine or option.shard):
        return None
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    tell = print if terminal is None else terminal.write_line
    measuring = Measuring(session.config.stash[RUN], tell)
    try:
        measure(measuring, session.items)
    except ProbesError as error:
        raise pytest.UsageError(str(error)) from error
    finally:
        measuring.close()
    if not option.shard:
        return None
    for line in measuring.lines():
        tell(line)
    session.testsfailed = len(measuring.tally.failed)
    return True


def measure(measuring: Measuring, items: list[pytest.Item]) -> None:
    """Measure what gates look at, then what the cells need that they let through."""
    run, cells = measuring.run, [item for item in items if cell_of(item)]
    for stage in range(max(map(len, ICL_GATES.values()))):
        cells = _let_through(measuring, cells, stage)
    keys = {run.key_of(request) for item in cells for request in planned(item)}
    measuring.measure({key for key in keys if key is not None})


def _let_through(
    measuring: Measuring, cells: list[pytest.Item], stage: int
) -> list[pytest.Item]:
    """Keep the cells that pass their gate of a stage, or have none."""
    gates = {item: _gate(measuring.run, item, stage) for item in cells}
    measuring.measure({key for gate in gates.values() for key in gate})
    is_open: dict[tuple[str, ...], bool] = {(): True}
    for item, gate in gates.items():
        if gate not in is_open:
            is_open[gate] = _passes(measuring.run, item, gate, stage)
    return [item for item, gate in gates.items() if is_open[gate]]


def _gate(run: Run, item: Any, stage: int) -> tuple[str, ...]:
    """Name the observations that decide whether a cell applies; () if none do."""
    card, cell = claim_of(item), cell_of(item)
    if card is None or cell is None or not card.needs_icl:
        return ()
    known, keys = item._fixtureinfo.name2fixturedefs, []
    for requirement in ICL_GATES[card.on][stage : stage + 1]:
        for name in requirement.observations:
            recipe = getattr(known[name][-1].func, "recipe", None)
            request = None if recipe is None else requests_of(cell, recipe(cell))
            key = run.key_of(request) if isinstance(request, Request) else None
            if key is None:
                return ()
            keys.append(key)
    return tuple(keys)


def _passes(run: Run, item: Any, gate: tuple[str, ...], stage: int) -> bool:
    """Say whether a cell passes a gate, as far as what was measured tells."""
    card, cell = claim_of(item), cell_of(item)
    assert card is not None
    assert cell is not None
    seen = [found for key in gate if (found := run.observer.recall(key)) is not None]
    if len(seen) < len(gate):
        return True  # its own test says why
    try:
        judge = Judge(card, cell, looks=run.looks)
        ICL_GATES[card.on][stage].check(judge, *seen)
    except Undecided:
        return False
    except ProbesError:
        return True
    return True
