"""A cell runs, its verdict becomes an outcome, and its row travels in the report."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterable
from typing import Any

import pytest

from probes.errors import ProbesError, UnknownNameError
from probes.pytest_plugin.fixtures import judge
from probes.pytest_plugin.items import (
    JUDGE,
    KEYS,
    NEXT,
    RUN,
    cell_of,
    claim_of,
    expected_of,
)
from probes.report.matrix import plain
from probes.results.rows import Row, build_row, is_unexpected
from probes.run.interim_analysis import next_look
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Changed, Refuted, Undecided

LONGEST_TOLD = 100_000
"""Letters of a failure that quotes what no terminal should obey."""
OURS = (
    "probes.",
    "probes_fixtures.",
)  # packages whose fixtures claims are written with
STARTED = pytest.StashKey[float]()

WORDS = {
    "supported": ("S", "SUPPORTED"),
    "refuted": ("R", "REFUTED"),
    "inconclusive": ("I", "INCONCLUSIVE"),
    "not_applicable": ("-", "NOT APPLICABLE"),
    "error": ("E", "ERROR"),
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Open the record of a cell; a dismissed cell is skipped or compared."""
    card, found = claim_of(item), cell_of(item)
    item.stash.setdefault(STARTED, time.perf_counter())  # a later look adds to it
    if card is not None and found is not None:
        looks = item.config.stash[RUN].looks
        item.stash[JUDGE] = Judge(card, found, looks=looks)
    try:
        yield
    except Undecided:
        _conclude(item)
    except pytest.FixtureLookupError as error:
        if card is None or error.argname is None:
            raise
        known = offered(item.config.pluginmanager.get_plugins())
        raise UnknownNameError.of(
            f"observation for the claim {card.name!r}",
            error.argname,
            known,
            expected="a name that fixtures/observations.py offers",
        ) from None


def offered(plugins: Iterable[object]) -> list[str]:
    """Name the observations and other fixtures of ours that a claim may ask for."""
    ours = [p for p in plugins if getattr(p, "__name__", "").startswith(OURS)]
    return [
        name
        for plugin in ours
        for name, value in vars(plugin).items()
        if isinstance(value, type(judge))
    ]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Run a claim and turn its verdict into an outcome."""
    result = yield
    if JUDGE in pyfuncitem.stash:
        _conclude(pyfuncitem)
    return result


def _conclude(item: pytest.Item) -> None:
    try:
        item.stash[JUDGE].conclude(expected_of(item))
    except Undecided as reason:
        pytest.skip(str(reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the row of a cell to the report of the phase that decided it."""
    _spare_traceback(item, call)
    report = yield
    if JUDGE in item.stash and _decides(report) and not _looks_again(item, call):
        row = _row(item, report, call)
        work = item.config.stash[RUN].work_since_last_report()
        report.user_properties.append(
            ("probes", json.dumps({"row": row, "work": work}))
        )
        # The report of the phase after this one carries them into JUnit's XML.
        item.user_properties += told_of(row)
        report.user_properties.append(("verdict", row["verdict"]))
        report.user_properties.append(("mark", mark_of(row)))
        if report.failed and call.excinfo is not None and _speaks(call.excinfo.value):
            report.longrepr = f"{item.nodeid}\n{call.excinfo.value}"
    if report.failed and not report.longreprtext.replace("\n", "").isprintable():
        # An error may quote rows of a stranger, which must not steer the terminal.
        report.longrepr = plain(report.longreprtext, LONGEST_TOLD, lines=True)
    return report


def _spare_traceback(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Let a refuted cell be told by its sentence alone.

    Writing a traceback reads and parses the source of every frame: half the time of a
    run in which everything is stored.
    """
    if call.excinfo is not None and _speaks(call.excinfo.value):
        told = f"{item.nodeid}\n{call.excinfo.value}"
        item.repr_failure = lambda *_, **__: told  # type: ignore[method-assign]


def _looks_again(item: pytest.Item, call: pytest.CallInfo[None]) -> bool:
    """Say whether a cell that came to a verdict goes on to another look."""
    error = None if call.excinfo is None else call.excinfo.value
    if isinstance(error, pytest.skip.Exception | Changed):
        item.stash[NEXT] = next_look(item.stash[JUDGE])
    return item.stash.get(NEXT, None) is not None


def told_of(row: Row) -> list[tuple[str, object]]:
    """Name what other programs read off a cell: its verdict and effect, as texts."""
    told = {"verdict": row["verdict"], "recorded": row["expected"]}
    if row["effects"]:
        effect = row["effects"][0]
        kept = ("name", "value", "low", "high", "unit", "margin", "floor", "ceiling")
        told |= {f"effect_{key}": effect[key] for key in kept}
    return [(name, plain(v)) for name, v in told.items() if v is not None]


def mark_of(row: Row) -> str:
    """Mark a row that is an error or differs from its record."""
    return "!" if is_unexpected(row) else ""


def _speaks(error: BaseException) -> bool:
    """Say whether an error's sentence is worth more than its traceback."""
    return isinstance(error, ProbesError | Refuted | Changed)


def _decides(report: pytest.TestReport) -> bool:
    return report.when == "call" or (report.when == "setup" and not report.passed)


def _row(
    item: pytest.Item, report: pytest.TestReport, call: pytest.CallInfo[None]
) -> dict[str, Any]:
    error = None if call.excinfo is None else call.excinfo.value
    told = isinstance(error, AssertionError | pytest.skip.Exception) and (
        item.stash[JUDGE].judgement is not None
    )
    outcome = "xfailed" if hasattr(report, "wasxfail") else str(report.outcome)
    crashed = None if error is None or told else f"{type(error).__name__}: {error}"
    keys: list[str] = item.stash.get(KEYS, [])
    return build_row(
        item.stash[JUDGE],
        test=item.nodeid,
        outcome="error" if crashed else outcome,
        error=crashed,
        expected=expected_of(item),
        observations=keys,
        seconds=time.perf_counter() - item.stash[STARTED],
        provenance=item.config.stash[RUN].provenance,
    )


def pytest_report_teststatus(
    report: Any, config: pytest.Config
) -> tuple[str, str, str] | None:
    """Show a verdict's own letter and word; ! marks what is unexpected."""
    told = dict(getattr(report, "user_properties", ()))
    if "verdict" not in told or not _decides(report):
        return None
    letter, word = WORDS[told["verdict"]]
    if hasattr(report, "wasxfail") and report.skipped:
        return "xfailed", letter, f"{word}, AS RECORDED"
    if report.failed and not told["mark"]:
        return "failed", letter, f"{word}, NO RECORD"
    return report.outcome, letter + told["mark"], word + told["mark"]
