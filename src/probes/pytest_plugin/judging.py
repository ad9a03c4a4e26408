"""Run a cell, turn its verdict into pytest's outcome, and attach its row."""

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
from probes.verdicts.outcomes import Changed, Refuted, Undecided

LONGEST_FAILURE = 100_000
"""Characters of a failure that are shown if it quotes control characters."""
OWN_PACKAGES = ("probes.", "probes_fixtures.")
"""Packages whose fixtures a misspelt name may have meant."""
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
    """Give a cell its judge; if a fixture dismisses the cell, conclude at once."""
    card, cell = claim_of(item), cell_of(item)
    item.stash.setdefault(STARTED, time.perf_counter())  # later looks add to it
    if card is not None and cell is not None:
        item.stash[JUDGE] = item.config.stash[RUN].judge_of(card, cell)
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
            expected="an observation that the fixtures offer",
        ) from None


def offered(plugins: Iterable[object]) -> list[str]:
    """Name the observations and other fixtures that a claim may ask for."""
    own = [p for p in plugins if getattr(p, "__name__", "").startswith(OWN_PACKAGES)]
    return [
        name
        for plugin in own
        for name, value in vars(plugin).items()
        if isinstance(value, type(judge))
    ]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Run a claim, then turn its verdict into an outcome."""
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
    """Attach the row of a cell to the report of the phase that decides it."""
    _shorten_failure(item, call)
    report = yield
    if JUDGE in item.stash and _is_deciding(report) and not _looks_again(item, call):
        row = _row(item, report, call)
        work = item.config.stash[RUN].work_since_last_report()
        report.user_properties.append(
            ("probes", json.dumps({"row": row, "work": work}))
        )
        # JUnit's XML takes them from the report of the next phase.
        item.user_properties += junit_properties(row)
        report.user_properties.append(("verdict", row["verdict"]))
        report.user_properties.append(("mark", mark_of(row)))
        if report.failed and call.excinfo and _explains(call.excinfo.value):
            report.longrepr = _error_text(item, call.excinfo.value)
    if report.failed and not report.longreprtext.replace("\n", "").isprintable():
        # It may quote a stranger's rows, which must not control the terminal.
        report.longrepr = plain(report.longreprtext, LONGEST_FAILURE, lines=True)
    return report


def _shorten_failure(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Show an error that explains itself without a traceback.

    A traceback parses the source of every frame. For refuted cells, that would take
    half the time of a run in which everything is stored.
    """
    if call.excinfo is not None and _explains(call.excinfo.value):
        message = _error_text(item, call.excinfo.value)
        item.repr_failure = lambda *_, **__: message  # type: ignore[method-assign]


def _error_text(item: pytest.Item, error: BaseException) -> str:
    """Write an error before its test: pytest's summary quotes the first line only."""
    return f"{error}\n{item.nodeid}"


def _looks_again(item: pytest.Item, call: pytest.CallInfo[None]) -> bool:
    """Say whether an undecided cell has another look."""
    error = None if call.excinfo is None else call.excinfo.value
    if isinstance(error, pytest.skip.Exception | Changed):
        item.stash[NEXT] = next_look(item.stash[JUDGE])
    return item.stash.get(NEXT, None) is not None


def junit_properties(row: Row) -> list[tuple[str, object]]:
    """List a cell's verdict and effect as texts, for JUnit's XML."""
    values = {"verdict": row["verdict"], "recorded": row["expected"]}
    if row["effects"]:
        effect = row["effects"][0]
        kept = ("name", "value", "low", "high", "unit", "margin", "floor", "ceiling")
        values |= {f"effect_{key}": effect[key] for key in kept}
    return [(name, plain(v)) for name, v in values.items() if v is not None]


def mark_of(row: Row) -> str:
    """Return ! for a row that is an error or differs from its record."""
    return "!" if is_unexpected(row) else ""


def _explains(error: BaseException) -> bool:
    """Say whether an error's message explains it without a traceback."""
    return isinstance(error, ProbesError | Refuted | Changed)


def _is_deciding(report: pytest.TestReport) -> bool:
    return report.when == "call" or (report.when == "setup" and not report.passed)


def _row(
    item: pytest.Item, report: pytest.TestReport, call: pytest.CallInfo[None]
) -> dict[str, Any]:
    error = None if call.excinfo is None else call.excinfo.value
    is_verdict = isinstance(error, AssertionError | pytest.skip.Exception) and (
        item.stash[JUDGE].judgement is not None
    )
    outcome = "xfailed" if hasattr(report, "wasxfail") else str(report.outcome)
    crashed = (
        None if error is None or is_verdict else f"{type(error).__name__}: {error}"
    )
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
    """Show the letter and word of a verdict; ! marks an unexpected one."""
    given = dict(getattr(report, "user_properties", ()))
    if "verdict" not in given or not _is_deciding(report):
        return None
    letter, word = WORDS[given["verdict"]]
    if hasattr(report, "wasxfail") and report.skipped:
        return "xfailed", letter, f"{word}, AS RECORDED"
    if report.failed and not given["mark"]:
        return "failed", letter, f"{word}, NO RECORD"
    return report.outcome, letter + given["mark"], word + given["mark"]
