"""Options, lists instead of a run, and what is refused before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from probes.errors import ProbesError
from probes.pytest_plugin.items import RUN
from probes.pytest_plugin.reporting import Gatherer
from probes.run.ini_options import complete, ini_name, kind_of
from probes.run.listing import LIST_OPTIONS, listed_option, listing
from probes.run.options import GRID_OPTIONS, PLACE_OPTIONS
from probes.run.session import Run


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options, under one heading."""
    group = parser.getgroup("probes", "is in-context learning gradient descent?")
    for name, settings in (*GRID_OPTIONS, *PLACE_OPTIONS):
        text = settings["help"].replace("%(default)s", str(settings.get("default")))
        # None tells an option left out, which the configuration file may give.
        group.addoption(name, **settings | {"default": None, "help": text})
        kind = cast(Any, kind_of(settings))
        parser.addini(ini_name(name), f"as {name}", type=kind, default=None)
    for name, text in LIST_OPTIONS.items():
        group.addoption(name, action="store_true", help=text)


def fill(config: pytest.Config) -> None:
    """Complete the options from the configuration file; often called, does it once."""
    try:
        complete(config.option, config.getini)
    except ProbesError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Print a list instead of running, if one was asked for."""
    fill(config)
    option = config.option
    if option.plan or option.engine or option.shard:  # no worker of xdist is needed
        option.numprocesses, option.dist, option.tx = 0, "no", []
    asked = listed_option(config.option, LIST_OPTIONS)
    if asked is None:
        return None
    try:
        print(listing(asked, config.args, config.option))
    except ProbesError as error:
        raise pytest.UsageError(str(error)) from error
    return 0


def home_of(config: pytest.Config) -> Path:
    """Give the folder that a run keeps its store and its reports in.

    It is that of the configuration file. Where there is none, pytest takes what all
    paths on the command line have in common, models and rows among them, which may be
    the root of the file system; the folder in which it was started is meant.
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
        config.pluginmanager.register(Gatherer(run), "probes-gatherer")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse options that cannot be used before anything is collected."""
    try:
        session.config.stash[RUN].check()
    except ProbesError as error:
        raise pytest.UsageError(str(error)) from error
