"""Every hook into pytest, each a few lines that call the layers below.

The only module of ``probes`` that imports pytest.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from probes.catalogue import listed_option, listing
from probes.claims import ClaimCard
from probes.errors import ProbesError
from probes.judge import Changed, Expectation, Judge, Refuted, Undecided
from probes.measures import gold_probability
from probes.observation import Observation
from probes.options import GRID_OPTIONS, LIST_OPTIONS, PLACE_OPTIONS
from probes.progress import Reporter
from probes.report.terminal import matrix_lines
from probes.request import Request
from probes.results import Row, build_row, cell_id
from probes.scheduling import ModelScheduling
from probes.session import Run
from probes.tasks import Cell
from probes.verdict import is_gained
from probes.workers import count_workers, worker_environment

RUN = pytest.StashKey[Run]()
JUDGE = pytest.StashKey[Judge]()
KEYS = pytest.StashKey[list[str]]()
STARTED = pytest.StashKey[float]()
RESULT = pytest.StashKey[tuple[list[Row], dict[str, Any]]]()

Recipe = Callable[[Cell], Any]
INCOMPLETE = 3  # exit status when collected cells have no row

WORDS = {
    "supported": ("S", "SUPPORTED"),
    "refuted": ("R", "REFUTED"),
    "inconclusive": ("I", "INCONCLUSIVE"),
    "not_applicable": ("-", "NOT APPLICABLE"),
    "error": ("E", "ERROR"),
}


def observation(recipe: Recipe) -> Any:
    """Turn a recipe into a fixture that is an observation.

    Args:
        recipe: From a cell to a learner, a :class:`Request`, or a list or dict of them.

    Returns:
        A fixture of the recipe's name that gives what the learners answered.
    """

    def answer(cell: Cell, observe: Callable[[Any], Any]) -> Any:
        return observe(recipe(cell))

    answer.__doc__ = recipe.__doc__
    answer.recipe = recipe  # type: ignore[attr-defined]
    return pytest.fixture(name=recipe.__name__)(answer)


def requests_of(cell: Cell, asked: Any) -> Any:
    """Complete learners to requests, keeping lists and dicts."""
    if isinstance(asked, Mapping):
        return {name: requests_of(cell, part) for name, part in asked.items()}
    if isinstance(asked, list | tuple):
        return [requests_of(cell, part) for part in asked]
    return asked if isinstance(asked, Request) else Request.of(cell, asked)


def _flat(requests: Any) -> Iterable[Request]:
    if isinstance(requests, Request):
        yield requests
        return
    parts = requests.values() if isinstance(requests, Mapping) else requests
    for part in parts:
        yield from _flat(part)


# ---------------------------------------------------------------- options and start


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options, under one heading."""
    group = parser.getgroup("probes", "is in-context learning gradient descent?")
    for name, settings in (*GRID_OPTIONS, *PLACE_OPTIONS):
        group.addoption(name, **settings)
    for name, text in LIST_OPTIONS.items():
        group.addoption(name, action="store_true", help=text)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Print a list instead of running, if one was asked for."""
    asked = listed_option(config.option, LIST_OPTIONS)
    if asked is None:
        return None
    try:
        print(listing(asked, config.args))
    except ProbesError as error:
        raise pytest.UsageError(str(error)) from error
    return 0


def pytest_configure(config: pytest.Config) -> None:
    """Start the run of this process."""
    worker = getattr(config, "workerinput", {})
    run = Run(
        config.option,
        config.rootpath,
        worker=worker.get("workerid"),
        status_folder=worker.get("probes_status"),
    )
    config.stash[RUN] = run
    if run.worker is None:
        config.pluginmanager.register(Gatherer(run), "probes-gatherer")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse options that cannot be used before anything is collected."""
    run = session.config.stash[RUN]
    try:
        _ = run.grid, run.places, run.record
        if session.config.option.store is not None:
            _ = run.observer  # an unwritable store is told before anything runs
    except ProbesError as error:
        raise pytest.UsageError(str(error)) from error


# ---------------------------------------------------------------- from claims to cells


def _claim(item: Any) -> ClaimCard | None:
    return getattr(getattr(item, "function", None), "claim", None)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> None:
    """Let a claim about learning in context pass through the gate first."""
    card = getattr(obj, "claim", None)
    if isinstance(card, ClaimCard):
        needed = ["cell", "judge", *(["icl_gate"] if card.needs_icl else [])]
        pytest.mark.usefixtures(*needed)(obj)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a claim one test for each cell that can exist."""
    card: ClaimCard | None = getattr(metafunc.function, "claim", None)
    if card is not None:
        cells = metafunc.config.stash[RUN].grid.cells(card)
        metafunc.parametrize("cell", cells, ids=[c.id for c in cells], indirect=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Drop claims without cells, sort by model, expect what is recorded, and plan."""
    empty = [item for item in items if _claim(item) and _cell(item) is None]
    if empty:
        config.hook.pytest_deselected(items=empty)
    items[:] = sorted((i for i in items if i not in empty), key=_model_of)
    run = config.stash[RUN]
    cells = [item for item in items if _cell(item) is not None]
    if empty and not items and run.worker is None:
        raise pytest.UsageError(run.grid.no_cell)
    for item in cells:
        found = _expected(item)
        if config.option.update_expected:
            item.add_marker(pytest.mark.xfail(raises=Refuted, reason="recorded now"))
        elif found is not None and found.verdict == "refuted":
            reason = "refuted, as recorded"
            item.add_marker(
                pytest.mark.xfail(raises=Refuted, strict=True, reason=reason)
            )
    if cells and run.worker in (None, "gw0") and not config.option.collectonly:
        run.plan(request for item in cells for request in _planned(item))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note what must be reported, when there are no workers."""
    session.config.stash[RUN].collected.update(item.nodeid for item in session.items)


def _cell(item: Any) -> Cell | None:
    callspec = getattr(item, "callspec", None)
    found = None if callspec is None else callspec.params.get("cell")
    return found if isinstance(found, Cell) else None


def _model_of(item: Any) -> str:
    cell = _cell(item)
    return "" if cell is None else cell.model.name.removeprefix("untrained:")


def _expected(item: Any) -> Expectation | None:
    cell, card = _cell(item), _claim(item)
    record = item.config.stash[RUN].record
    if cell is None or card is None or record is None:
        return None
    found: Expectation | None = record.of(cell_id(card.id_of(cell.variant), cell))
    return found


def _planned(item: Any) -> Iterable[Request]:
    """Read a test's requests off its fixtures, before anything runs."""
    cell = _cell(item)
    assert cell is not None
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        recipe = getattr(definitions[-1].func, "recipe", None)
        if recipe is not None:
            yield from _flat(requests_of(cell, recipe(cell)))


# ---------------------------------------------------------------- fixtures


@pytest.fixture
def cell(request: pytest.FixtureRequest) -> Cell:
    """Give the model, dataset and number of demonstrations of this test."""
    found = getattr(request, "param", None)
    if not isinstance(found, Cell):
        pytest.fail("Only a test under @claim has a cell. Decorate it.", pytrace=False)
    return found


@pytest.fixture
def observe(cell: Cell, request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Give a function from learners or requests to observations."""
    observer = request.config.stash[RUN].observer
    keys = request.node.stash.setdefault(KEYS, [])

    def answer(asked: Any) -> Any:
        if isinstance(asked, Mapping):
            return {name: answer(part) for name, part in asked.items()}
        if isinstance(asked, list | tuple):
            return [answer(part) for part in asked]
        found = observer.observe(requests_of(cell, asked))
        if found.key not in keys:
            keys.append(found.key)
        return found

    return answer


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> Judge:
    """Give what a claim hands its measurements to."""
    found: Judge = request.node.stash[JUDGE]
    return found


@pytest.fixture
def icl_gate(
    icl: Observation, base: Observation, icl_shuffled_labels: Observation, judge: Judge
) -> None:
    """Dismiss the cell where demonstrations teach nothing or labels do not matter."""
    learned, alone, misled = map(gold_probability, (icl, base, icl_shuffled_labels))
    for arm, theirs in {"zero-shot": alone, "shuffled labels": misled}.items():
        gain = replace(learned.minus(theirs), name=f"gain of ICL over {arm}")
        if not is_gained(gain):
            judge.dismiss(f"ICL gains nothing over {arm}: nothing to explain", gain)


# ---------------------------------------------------------------- running and judging


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Open the record of a cell; a dismissed cell is skipped or compared."""
    card, found = _claim(item), _cell(item)
    item.stash[STARTED] = time.perf_counter()
    if card is not None and found is not None:
        item.stash[JUDGE] = Judge(card, found)
    try:
        yield
    except Undecided:
        _conclude(item)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Run a claim and turn its verdict into an outcome."""
    result = yield
    if JUDGE in pyfuncitem.stash:
        _conclude(pyfuncitem)
    return result


def _conclude(item: pytest.Item) -> None:
    try:
        item.stash[JUDGE].conclude(_expected(item))
    except Undecided as reason:
        pytest.skip(str(reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the row of a cell to the report of the phase that decided it."""
    report = yield
    if JUDGE in item.stash and _decides(report):
        row = _row(item, report, call)
        work = item.config.stash[RUN].work_since_last_report()
        report.user_properties.append(
            ("probes", json.dumps({"row": row, "work": work}))
        )
        report.user_properties.append(("verdict", row["verdict"]))
        if report.failed and call.excinfo is not None and _speaks(call.excinfo.value):
            report.longrepr = f"{item.nodeid}\n{call.excinfo.value}"
    return report


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
        file=item.nodeid.partition("::")[0],
        test=item.nodeid,
        outcome="error" if crashed else outcome,
        error=crashed,
        expected=_expected(item),
        observations=keys,
        seconds=time.perf_counter() - item.stash[STARTED],
    )


# ---------------------------------------------------------------- words and report


def pytest_report_teststatus(
    report: Any, config: pytest.Config
) -> tuple[str, str, str] | None:
    """Show a verdict's own letter and word; ! marks what failed."""
    verdict = dict(getattr(report, "user_properties", ())).get("verdict")
    if verdict is None or not _decides(report):
        return None
    letter, word = WORDS[verdict]
    if hasattr(report, "wasxfail") and report.skipped:
        return "xfailed", letter, f"{word}, AS RECORDED"
    if report.failed:
        return "failed", f"{letter}!", f"{word}!"
    return report.outcome, letter, word


class Gatherer:
    """Takes the rows out of the reports, in the process that writes the result."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in a row; a test in which a worker died becomes an error."""
        data = dict(report.user_properties).get("probes")
        if data is not None:
            self.run.take(**json.loads(str(data)))
        elif report.when not in ("setup", "call", "teardown"):
            self.run.take_crash(report.nodeid, report.longreprtext)
        self.run.reported.add(report.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Show progress while tests run, in the process that has the terminal."""
    run = session.config.stash[RUN]
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if run.worker is not None or terminal is None:
        return (yield)

    def show(line: str) -> None:
        terminal.ensure_newline()
        terminal.write_line(line)

    on_terminal = bool(getattr(terminal, "isatty", False))
    reporter = Reporter(run.status_folder, show, on_terminal=on_terminal)
    reporter.start()
    try:
        return (yield)
    finally:
        reporter.stop()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the report; a collected test without a report makes the run incomplete."""
    run = session.config.stash[RUN]
    if run.worker is not None or not (run.rows or run.missing_cells):
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


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Draw the matrix."""
    if RESULT not in config.stash:
        return
    run = config.stash[RUN]
    terminalreporter.section("is in-context learning gradient descent?")
    for line in matrix_lines(*config.stash[RESULT]):
        terminalreporter.write_line(line)
    for nodeid in run.missing[:20]:
        terminalreporter.write_line(f"no report: {nodeid}")
    terminalreporter.write_line(f"Report: {run.places.reports / 'index.html'}")


# ---------------------------------------------------------------- workers


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Decide what ``-n auto`` means."""
    return count_workers(config.option.device)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Give each worker its share of cores and GPUs, before it imports anything."""
    for index, spec in enumerate(specs):
        spec.env.update(worker_environment(index, len(specs), config.option.device))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where this run's progress is written."""
    node.workerinput["probes_status"] = str(node.config.stash[RUN].status_folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """Note what must be reported."""
    node.config.stash[RUN].collected.update(ids)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the cells of one model in one worker, unless ``--dist`` says otherwise."""
    return ModelScheduling(config, log) if config.option.dist == "load" else None
