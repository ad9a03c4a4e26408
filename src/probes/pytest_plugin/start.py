"""Options, lists that are printed instead of a run, and checks before the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from probes.engine.work_queue import workers_that_fit
from probes.errors import ProbesError
from probes.pytest_plugin.items import RUN
from probes.pytest_plugin.reporting import RowCollector
from probes.run.grid import parse_models
from probes.run.ini_options import complete
from probes.run.listing import LIST_OPTIONS, listed_option, listing
from probes.run.options import RUN_OPTIONS
from probes.run.session import Run

HEADING = "is in-context learning gradient descent?"
"""The heading of our options in the help."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add all options of a run, under one heading that --help shows first."""
    group = parser.getgroup("probes", HEADING)
    _show_first(parser)
    for each in RUN_OPTIONS:
        group.addoption(each.name, **each.command_line())
        ini_type = cast(Any, each.ini_type)
        parser.addini(each.ini_key, f"as {each.name}", type=ini_type, default=None)
    for name, text in LIST_OPTIONS.items():
        group.addoption(name, action="store_true", help=text)


def _show_first(parser: pytest.Parser) -> None:
    """Move our options to the top of the help, for which pytest has no public way."""
    groups = getattr(getattr(parser, "optparser", None), "_action_groups", [])
    groups.sort(key=lambda each: each.title != HEADING)


def fill(config: pytest.Config) -> None:
    """Fill options from the configuration file; a second call changes nothing."""
    try:
        complete(config.option, config.getini)
    except ProbesError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Print a list instead of running, with ``--list-claims`` and its like."""
    fill(config)
    option = config.option
    option.n_workers = workers_asked(option)  # for --plan, which starts none
    if option.plan or option.engine or option.shard:  # without workers of xdist
        option.numprocesses, option.dist, option.tx = 0, "no", []
    asked = listed_option(config.option, LIST_OPTIONS)
    if asked is None:
        return None
    try:
        print(listing(asked, config.args, config.option))
    except ProbesError as error:
        raise pytest.UsageError(str(error)) from error
    return 0


def workers_asked(option: Any) -> int:
    """Count the workers that ``-n`` asks for; 1 without it."""
    asked = getattr(option, "numprocesses", None)
    if isinstance(asked, int):
        return max(1, asked)
    return auto_workers(option) if asked else 1


def auto_workers(option: Any) -> int:
    """Count the workers of ``-n auto``; those of any model if a name is wrong."""
    try:
        models = parse_models(option.models)
    except ProbesError:  # the run itself reports it
        models = ()
    return workers_that_fit(models, option.device)


def home_of(config: pytest.Config) -> Path:
    """Return the folder that holds the store and the reports of a run.

    It is the folder of the configuration file, or else the current folder. Without a
    configuration file, pytest's own root is the common parent of all paths on the
    command line, including models and rows; it may be the root of the file system.
    """
    return config.invocation_params.dir if config.inipath is None else config.rootpath


def pytest_configure(config: pytest.Config) -> None:
    """Start the run of this process."""
    fill(config)
    worker = getattr(config, "workerinput", {})
    run = Run(
        config.option,
        home_of(config),
        tests=str(config.rootpath),
        worker=worker.get("workerid"),
        status_folder=worker.get("probes_status"),
    )
    config.stash[RUN] = run
    if run.worker is None:
        config.pluginmanager.register(RowCollector(run), "probes-rows")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Check the options before anything is collected, and warn of what lacks rows."""
    run, option = session.config.stash[RUN], session.config.option
    try:
        run.check()
    except ProbesError as error:
        raise pytest.UsageError(str(error)) from error
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal and not (run.worker or option.plan or option.collectonly):
        for line in run.shortages:
            terminal.write_line(line)
