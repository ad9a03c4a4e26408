"""What parsed options become: the grid, the paths, and what a rerun must be given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probes.cards import DatasetCard, ModelCard
from probes.cell import Settings
from probes.errors import OptionError
from probes.run.grid import Grid, parse_datasets, parse_demonstrations, parse_models
from probes.run.number_lists import parse_passes, parse_rates
from probes.run.options import GRID_OPTIONS, PATH_OPTIONS
from probes.run.setups import filled_by, setup_of


@dataclass(frozen=True, kw_only=True)
class RunPaths:
    """Where a run reads and writes.

    Attributes:
        store: Folder of the observations.
        reports: Folder of the report.
        expected: File of the verdicts that the run is compared with.
    """

    store: Path
    reports: Path
    expected: Path


def paths_of(option: Any, root: Path) -> RunPaths:
    """Read where a run reads and writes.

    Args:
        option: Parsed options.
        root: The folder that the default paths are relative to.

    Raises:
        OptionError: ``--expect`` names no file.
    """
    if option.expect is not None and not os.path.isfile(option.expect):
        raise OptionError(
            f"--expect is {option.expect!r}, which is no file. Expected a record or "
            f"the results.jsonl of a run. Check the path."
        )
    return RunPaths(
        store=Path(option.store or root / ".store").absolute(),
        reports=Path(option.reports or root / "reports" / "latest").absolute(),
        expected=Path(option.expect or root / "claims" / "expected.json").absolute(),
    )


def grid_of(option: Any) -> Grid:
    """Read which models, datasets, numbers of demonstrations and sizes a run has.

    Args:
        option: Parsed options.

    Raises:
        OptionError: A value cannot be used.
        UnknownNameError: A name is not known.
    """
    data_dir = option.data_dir
    if data_dir is not None and not os.path.isdir(data_dir):
        raise OptionError(
            f"--data-dir is {data_dir!r}, which is no folder. Expected a folder with "
            f"one sub-folder for each dataset. Check the path."
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
        chat=bool(option.chat),
        unused_tensors=option.unused_tensors,
        effort=option.effort,
        rates=parse_rates(option.rates),
        passes=parse_passes(option.passes),
        data_dir=None if data_dir is None else str(Path(data_dir).resolve()),
    )
    models = parse_models(option.models)
    return Grid(
        models=models,
        datasets=datasets_of(option, models),
        demonstrations=parse_demonstrations(option.demos),
        settings=settings,
        size=option.grid,
        setup=setup_of(option),
    )


def _readable(
    datasets: tuple[DatasetCard, ...], models: Sequence[ModelCard]
) -> tuple[DatasetCard, ...]:
    """Leave out datasets that no model reads, unless no model reads any."""
    read = tuple(d for d in datasets if any(m.answers(d) for m in models))
    return read or datasets


def datasets_of(
    option: Any, models: Sequence[ModelCard] = ()
) -> tuple[DatasetCard, ...]:
    """Read which datasets a run has, and apply ``--template`` to those that have it.

    Args:
        option: Parsed options.
        models: The models of the run. Datasets of a set-up that none of them reads are
            left out, so that they need not be fetched.

    Raises:
        OptionError: A value cannot be used, or no dataset has the template.
        UnknownNameError: A dataset is not known.
    """
    cards, name = parse_datasets(option.datasets, option.grid), option.template
    if "datasets" in filled_by(option):
        cards = _readable(cards, models)
    if not name or why_no_template(option, cards):
        return cards
    if not any(name in card.templates for card in cards):
        known = [f"{c.name}: {', '.join(c.templates)}" for c in cards if c.templates]
        raise OptionError(
            f"--template is {name!r}, which none of the datasets of this run has "
            f"({', '.join(card.name for card in cards)}). Expected one of their "
            f"templates ({'; '.join(known) or 'they have none with a name'}). Pass one "
            f"of these, pass other --datasets, or omit --template."
        )
    return tuple(card.with_template(name) for card in cards)


def why_no_template(option: Any, datasets: Iterable[DatasetCard]) -> str:
    """Say why the template of a set-up does not apply; empty if it does.

    Args:
        option: Parsed options.
        datasets: Those of the run.
    """
    if any(option.template in card.templates for card in datasets):
        return ""
    if "template" not in filled_by(option):
        return ""
    return "no dataset of this run has it"


def options_of_rerun(option: Any) -> dict[str, str]:
    """Name the options with which a cell can be run again, except for defaults.

    The report of the cell goes into a folder of its own, beside that of the run.

    Args:
        option: Parsed options, with pytest's own.

    Returns:
        Name to value, in the order of ``--help``; a flag has the value "". At the end
        come the plugins and the configuration that pytest was given.
    """
    paths = ("--data-dir", "--store", "--expect")
    deciding = (*GRID_OPTIONS, *(each for each in PATH_OPTIONS if each.name in paths))
    values = {each.name: getattr(option, each.attribute) for each in deciding}
    defaults = {each.name: (each.default, None, False) for each in deciding}
    from_setup = {e.name for e in deciding if e.attribute in filled_by(option)}
    needed = {
        n: str(v)
        for n, v in values.items()
        if v not in defaults[n] and n not in from_setup
    }
    needed |= {n: "" for n, v in needed.items() if values[n] is True}
    if option.reports:
        needed["--reports"] = os.path.join(option.reports, "again")
    if option.raw:
        needed["--raw"] = ""
    return needed | _options_of_pytest(option)


def _options_of_pytest(option: Any) -> dict[str, str]:
    """Name the plugins, the configuration and the root that pytest was given."""
    plugins = getattr(option, "plugins", None) or ()
    given = {f"-p{name}": "" for name in plugins if not name.startswith("no:")}
    config, root = (getattr(option, n, None) for n in ("inifilename", "rootdir"))
    given |= {"-c": str(config)} if config else {}
    return given | ({"--rootdir": str(root)} if root else {})
