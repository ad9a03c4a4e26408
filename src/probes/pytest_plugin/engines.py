"""``--engine`` and ``--shard``: the plan is measured before anything is judged."""

from __future__ import annotations

from typing import Any

import pytest

from probes.errors import ProbesError
from probes.judge import Judge
from probes.measuring import Measuring
from probes.outcomes import Undecided
from probes.pytest_plugin.collection import planned
from probes.pytest_plugin.fixtures import (
    requests_of,
    require_icl,
    require_icl_in_regression,
)
from probes.pytest_plugin.items import RUN, cell_of, claim_of
from probes.request import Request
from probes.session import Run

GATES: dict[str, tuple[tuple[str, ...], Any]] = {
    "text": (("icl", "base", "icl_shuffled_labels"), require_icl),
    "regression": (("icl",), require_icl_in_regression),
}
"""What a gate looks at, and the gate: see ``fixtures``."""


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
    run, gates = measuring.run, {}
    for item in items:
        gates[item] = _gate(run, item)
    measuring.measure({key for gate in gates.values() for key in gate})
    is_open: dict[tuple[str, ...], bool] = {}
    for item, gate in gates.items():
        if gate not in is_open:
            is_open[gate] = not gate or _passes(run, item, gate)
    cells = [i for i, gate in gates.items() if cell_of(i) and is_open[gate]]
    keys = {run.key_of(request) for item in cells for request in planned(item)}
    measuring.measure({key for key in keys if key is not None})


def _gate(run: Run, item: Any) -> tuple[str, ...]:
    """Name the observations that decide whether a cell applies; () if none do."""
    card, cell = claim_of(item), cell_of(item)
    if card is None or cell is None or not card.needs_icl:
        return ()
    known, keys = item._fixtureinfo.name2fixturedefs, []
    for name in GATES[card.on][0]:
        recipe = getattr(known[name][-1].func, "recipe", None)
        request = None if recipe is None else requests_of(cell, recipe(cell))
        key = run.key_of(request) if isinstance(request, Request) else None
        if key is None:
            return ()
        keys.append(key)
    return tuple(keys)


def _passes(run: Run, item: Any, gate: tuple[str, ...]) -> bool:
    """Say whether a cell applies, as far as what was measured tells."""
    card, cell = claim_of(item), cell_of(item)
    assert card is not None
    assert cell is not None
    seen = [found for key in gate if (found := run.observer.recall(key)) is not None]
    if len(seen) < len(gate):
        return True  # its own test says why
    try:
        GATES[card.on][1](Judge(card, cell, looks=run.looks), *seen)
    except Undecided:
        return False
    except ProbesError:
        return True
    return True
