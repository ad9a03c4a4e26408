"""``--engine`` and ``--shard``: measure the plan before the tests judge anything."""

from __future__ import annotations

from typing import Any

import pytest

from probes.errors import ProbesError
from probes.pytest_plugin.collection import compared, planned
from probes.pytest_plugin.items import RUN, cell_of, claim_of
from probes.run.icl_gate import ICL_GATES
from probes.run.prefetch import Prefetch
from probes.run.session import Run
from probes.verdicts.outcomes import Undecided


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Measure the plan, with ``--engine`` or ``--shard``."""
    option = session.config.option
    if option.plan or option.collectonly or not (option.engine or option.shard):
        return None
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    write = print if terminal is None else terminal.write_line
    prefetch = Prefetch(session.config.stash[RUN], write)
    try:
        measure_needed(prefetch, session.items)
    except ProbesError as error:
        raise pytest.UsageError(str(error)) from error
    finally:
        prefetch.close()
    if not option.shard:
        return None
    for line in prefetch.lines():
        write(line)
    session.testsfailed = len(prefetch.counts.failed)
    return True


def measure_needed(prefetch: Prefetch, items: list[pytest.Item]) -> None:
    """Measure what the ICL gate compares, then what the cells behind it need."""
    run, cells = prefetch.run, [item for item in items if cell_of(item)]
    for stage in range(max(map(len, ICL_GATES.values()))):
        cells = _cells_that_pass(prefetch, cells, stage)
    keys = {run.key_of(request) for item in cells for request in planned(item)}
    prefetch.measure({key for key in keys if key is not None})


def _cells_that_pass(
    prefetch: Prefetch, cells: list[pytest.Item], stage: int
) -> list[pytest.Item]:
    """Keep the cells that meet the requirement of a stage, or have none."""
    gates = {item: _compared_keys(prefetch.run, item, stage) for item in cells}
    prefetch.measure({key for gate in gates.values() for key in gate})
    is_open: dict[tuple[str, ...], bool] = {(): True}
    for item, gate in gates.items():
        if gate not in is_open:
            is_open[gate] = _passes(prefetch.run, item, gate, stage)
    return [item for item, gate in gates.items() if is_open[gate]]


def _compared_keys(run: Run, item: Any, stage: int) -> tuple[str, ...]:
    """Return the keys of what a requirement compares; () if there is nothing."""
    keys = [run.key_of(request) for request in compared(item, stage)]
    return () if None in keys else tuple(filter(None, keys))


def _passes(run: Run, item: Any, keys: tuple[str, ...], stage: int) -> bool:
    """Say whether a cell meets a requirement; true if an observation is missing."""
    card, cell = claim_of(item), cell_of(item)
    assert card is not None
    assert cell is not None
    recalled = [run.observer.recall(key) for key in keys]
    observations = [each for each in recalled if each is not None]
    if len(observations) < len(keys):
        return True  # the cell's own test reports why
    try:
        judge = run.judge_of(card, cell)
        ICL_GATES[card.on][stage].check(judge, *observations)
    except Undecided:
        return False
    except ProbesError:
        return True
    return True
