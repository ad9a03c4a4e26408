"""The options of a run: what they are called, what they mean, what they become."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from probes.cell import Settings
from probes.errors import OptionError
from probes.run.grid import Grid, parse_datasets, parse_demonstrations, parse_models

DEFAULTS = Settings()

ENGINE_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "--engine",
        {
            "metavar": "NAME",
            "help": "measure the whole plan first, then judge it in this process: "
            "local or local:N (N processes of this machine; one that dies is "
            "replaced), ray or ray:ADDRESS (a Ray cluster; needs the extra ray); "
            "implies -n 0 (default: the tests measure what they need)",
        },
    ),
    (
        "--shard",
        {
            "metavar": "I/N",
            "help": "measure only part I of N of the plan into the store and judge "
            "nothing; when all parts are done, a run without --shard judges them "
            "(default: all of it)",
        },
    ),
    (
        "--time-limit",
        {
            "type": float,
            "metavar": "SECONDS",
            "help": "the longest that one observation may take; a longer one is an "
            "error and the rest goes on. Where a library hangs without coming back to "
            "Python, only a worker (-n, --engine) can be ended (default: no limit)",
        },
    ),
)

GRID_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "--models",
        {
            "metavar": "NAMES",
            "help": "models to judge, separated by commas: registered names, folders, "
            "Hub ids (org/name or org/name@revision), untrained:NAME (random weights), "
            "untrained_but_embeddings:NAME (random but for embeddings and norms) "
            "(default: every model that ships)",
        },
    ),
    (
        "--datasets",
        {
            "metavar": "NAMES",
            "help": "datasets, separated by commas: registered names, .jsonl or .csv "
            "files, or folders with train and test (default: every one that ships)",
        },
    ),
    (
        "--demos",
        {
            "metavar": "NUMBERS",
            "help": "numbers of demonstrations, separated by commas (default: each "
            "dataset's own)",
        },
    ),
    (
        "--grid",
        {
            "default": "default",
            "choices": ["default", "full"],
            "help": "how much is run of what is not named: default takes minutes, full "
            "adds sub-models, numbers of demonstrations and regression tasks (default: "
            "%(default)s)",
        },
    ),
    (
        "--sets",
        {
            "type": int,
            "default": DEFAULTS.n_sets,
            "metavar": "N",
            "help": "demonstration sets in each cell; power comes from these (default: "
            "%(default)s)",
        },
    ),
    (
        "--until-decided",
        {
            "type": int,
            "metavar": "MAX",
            "help": "judge undecided cells again with twice as many sets, then four "
            "times, up to MAX, each time at a stricter level, so that all looks "
            "together err as rarely as one; compared with no record but --expect's "
            "(default: one look)",
        },
    ),
    (
        "--queries",
        {
            "type": int,
            "default": DEFAULTS.n_queries,
            "metavar": "N",
            "help": "queries asked after each set (default: %(default)s)",
        },
    ),
    (
        "--orders",
        {
            "type": int,
            "default": DEFAULTS.n_orders,
            "metavar": "N",
            "help": "orders of the same demonstrations (default: %(default)s)",
        },
    ),
    (
        "--calibration",
        {
            "type": int,
            "default": DEFAULTS.n_calibration,
            "metavar": "N",
            "help": "queries on which rates and steps are chosen; no verdict sees them "
            "(default: %(default)s)",
        },
    ),
    (
        "--seed",
        {
            "type": int,
            "default": DEFAULTS.seed,
            "metavar": "N",
            "help": "seed of everything that is drawn (default: %(default)s)",
        },
    ),
    (
        "--device",
        {
            "default": DEFAULTS.device,
            "metavar": "NAME",
            "help": "where text models run: cpu, cuda, cuda:1, auto (default: cpu)",
        },
    ),
    (
        "--dtype",
        {
            "default": DEFAULTS.dtype,
            "choices": ["float32", "float64", "bfloat16", "float16"],
            "help": "precision of text models (default: %(default)s)",
        },
    ),
    (
        "--long-rows",
        {
            "default": DEFAULTS.long_rows,
            "choices": ["error", "drop"],
            "help": "rows longer than their share of the model's context: an error "
            "that names the row, or drop them before anything is drawn (default: "
            "%(default)s)",
        },
    ),
)

PLACE_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "--data-dir",
        {
            "metavar": "FOLDER",
            "help": "folder that holds the rows of sst2, agnews, cb, rte and mr, one "
            "folder each (default: fetch from the Hub)",
        },
    ),
    (
        "--store",
        {
            "metavar": "FOLDER",
            "help": "where observations are kept between runs (default: .store)",
        },
    ),
    (
        "--store-limit",
        {
            "metavar": "SIZE",
            "help": "what the store may hold after the run, such as 500M or 2G: what "
            "was not used for longest is removed (default: no limit)",
        },
    ),
    (
        "--reports",
        {
            "metavar": "FOLDER",
            "help": "where the report is written (default: reports/latest)",
        },
    ),
    (
        "--plan",
        {
            "action": "store_true",
            "help": "measure nothing: print what the run would measure, what it costs "
            "(time from what is stored of the same kind, tokens and FLOPs from the "
            "models' sizes), how many sets its claims need for power .8, and which "
            "cells it cannot decide, from the rows of the last report in --reports",
        },
    ),
    (
        "--expect",
        {
            "metavar": "FILE",
            "help": "compare with these verdicts instead of claims/expected.json: "
            "another record, or the results.jsonl of any run",
        },
    ),
    (
        "--update-expected",
        {
            "action": "store_true",
            "help": "write this run's verdicts to claims/expected.json",
        },
    ),
    (
        "--raw",
        {
            "action": "store_true",
            "help": "show verdicts without comparing them with any record",
        },
    ),
    *ENGINE_OPTIONS,
)


def given_options(option: Any) -> dict[str, str]:
    """Name the options that decide a cell and are not at their defaults.

    Returns:
        Name to value, in the order of ``--help``: what a rerun of one cell needs too.
    """
    found = {}
    deciding = ("--data-dir", "--store", "--expect")
    places = (pair for pair in PLACE_OPTIONS if pair[0] in deciding)
    for name, settings in (*GRID_OPTIONS, *places):
        value = getattr(option, name.removeprefix("--").replace("-", "_"))
        if value not in (settings.get("default"), None):
            found[name] = str(value)
    return found


def grid_of(option: Any) -> Grid:
    """Read the grid from parsed options.

    Raises:
        OptionError: A value cannot be used.
        UnknownNameError: A name is not known.
    """
    data_dir = option.data_dir
    if data_dir is not None and not os.path.isdir(data_dir):
        raise OptionError(
            f"--data-dir is {data_dir!r}, which is no folder. Expected a folder with "
            f"one folder a dataset. Check the path."
        )
    settings = Settings(
        n_sets=option.sets,
        n_queries=option.queries,
        n_orders=option.orders,
        n_calibration=option.calibration,
        seed=option.seed,
        device=option.device,
        dtype=option.dtype,
        long_rows=option.long_rows,
        data_dir=None if data_dir is None else str(Path(data_dir).resolve()),
    )
    return Grid(
        models=parse_models(option.models),
        datasets=parse_datasets(option.datasets, option.grid),
        demonstrations=parse_demonstrations(option.demos),
        settings=settings,
        size=option.grid,
    )
