"""Collect the rows, show progress, and write the report at the end."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any, TextIO

import pytest

from probes.engine.progress import ProgressReporter
from probes.errors import ProbesError
from probes.pytest_plugin.items import RUN
from probes.report.terminal import matrix_lines, missing_lines
from probes.results.rows import Row
from probes.run.session import Run

RESULT = pytest.StashKey[tuple[list[Row], dict[str, Any]]]()
NARROW, WIDE = 100, 160  # columns of the report
MOST_MISSING = 3  # cells without a row that are named
INCOMPLETE = 3  # exit status when collected cells have no row


class RowCollector:
    """Collects the rows from pytest's reports, in the process that has them all."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the row of a test; if its worker died, the row is an error."""
        data = dict(report.user_properties).get("probes")
        if data is not None:
            self.run.add(**json.loads(str(data)))
        elif report.when not in ("setup", "call", "teardown"):
            self.run.add_crash(report.nodeid, report.longreprtext)
        self.run.reported.add(report.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Show progress while the tests run, in the process with the terminal."""
    run = session.config.stash[RUN]
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if run.worker is not None or terminal is None or session.config.option.plan:
        return (yield)

    on_terminal = bool(getattr(terminal, "isatty", False))
    with _line_writer(terminal) as show:
        reporter = ProgressReporter(run.status_folder, show, on_terminal=on_terminal)
        reporter.start()
        try:
            return (yield)
        finally:
            _ = run.budget_choice, run.unanswerable  # their files are now removed
            reporter.stop()


@contextlib.contextmanager
def _line_writer(terminal: Any) -> Iterator[Callable[[str], None]]:
    """Provide what writes a line at any time, while pytest captures standard output."""
    with contextlib.ExitStack() as stack:
        stream: TextIO = sys.stdout
        with contextlib.suppress(OSError, ValueError):  # no file, so no capture
            copy = os.dup(stream.fileno())
            stream = stack.enter_context(os.fdopen(copy, "w", encoding="utf-8"))

        def write(line: str) -> None:
            if terminal.currentfspath is not None:  # a line of dots is not finished
                stream.write("\n")
                terminal.currentfspath = None
            stream.write(f"{line}\n")
            stream.flush()

        yield write


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the report, and set the exit status that the summary asks for."""
    run = session.config.stash[RUN]
    if session.config.option.collectonly or exitstatus == pytest.ExitCode.USAGE_ERROR:
        return  # nothing ran: the last report stays
    if run.worker is not None or not (run.rows or run.missing_cells):
        _refuse_empty_grid(session, run, exitstatus)
        return
    try:
        rows, summary = run.finish(
            interrupted=exitstatus == pytest.ExitCode.INTERRUPTED
        )
    except ProbesError as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.INTERNAL_ERROR)
    session.config.stash[RESULT] = rows, summary
    if session.exitstatus == pytest.ExitCode.OK:
        if not all(summary["self_tests"].values()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif not summary["complete"]:
            session.exitstatus = INCOMPLETE


def _refuse_empty_grid(session: pytest.Session, run: Run, exitstatus: int) -> None:
    """Refuse a grid or a budget without cells, if workers collected the tests."""
    option = session.config.option
    if run.worker is None and (message := run.budget_choice.leaves_nothing):
        pytest.exit(message, returncode=pytest.ExitCode.USAGE_ERROR)
    narrowed = run.is_narrowed and not (option.keyword or option.markexpr)
    if narrowed and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        pytest.exit(run.grid.no_cell(), returncode=pytest.ExitCode.USAGE_ERROR)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Draw the matrix."""
    if RESULT not in config.stash:
        return
    run = config.stash[RUN]
    terminalreporter.section("is in-context learning gradient descent?")
    width = min(max(NARROW, terminalreporter._tw.fullwidth), WIDE)
    is_verbose = config.option.verbose > 0
    shown = matrix_lines(*config.stash[RESULT], width=width, is_verbose=is_verbose)
    shown += missing_lines(
        run.missing, width, most=None if is_verbose else MOST_MISSING
    )
    for line in shown:
        terminalreporter.write_line(line)
    if run.store.fault is not None:
        terminalreporter.write_line(
            f"Some observations were not stored: {run.store.fault}"
        )
    folder = run.reports or run.paths.reports
    if folder != run.paths.reports:
        terminalreporter.write_line(
            f"The last complete report stays in {run.paths.reports}."
        )
    terminalreporter.write_line(f"Report: {folder / 'index.html'}")
    if (changes := folder / "changes.html").exists():
        terminalreporter.write_line(f"Changes: {changes}")
