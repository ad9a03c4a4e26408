"""Measure how often verdicts are wrong, on simulated data and with planted truths."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from probes.calibration.planted_cells import PARTS, PlantedCells
from probes.calibration.planted_report import PlantedResults
from probes.calibration.planted_runs import PlantedStudy, finished_runs
from probes.calibration.plants import MAIN, PLANTS
from probes.calibration.search_worlds import search_counts
from probes.calibration.study import ErrorRates
from probes.calibration.study_parts import FULL, QUICK, replace_renewed, run_study
from probes.calibration.study_report import read_outcomes, write_summary
from probes.cli.models_command import packaged_models
from probes.errors import OptionError
from probes.models.files.converted_models import is_converted

SEARCHES = "the search for GD's rate"
"""The name of this part, for ``--only``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``probes calibrate``."""
    parser.add_argument(
        "--quick", action="store_true", help="make an eighth of the simulations"
    )
    parser.add_argument(
        "--redraw",
        action="store_true",
        help="simulate nothing; write the pages again from summary.json",
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="TEXT",
        help="simulate only the parts whose names contain TEXT; keep all other results",
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=2,
        metavar="N",
        help="number of simulations at the same time (default: 2)",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="FOLDER",
        default=Path("reports/calibration"),
        help="folder of the results (default: reports/calibration)",
    )
    parser.add_argument(
        "--rows",
        type=Path,
        default=Path("reports/sample/results.jsonl"),
        metavar="FILE",
        help="results.jsonl of a run; the study reports how its variance splits into "
        "sets, queries and the rest (default: reports/sample/results.jsonl)",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=2,
        metavar="N",
        help="judge the claims with planted truths on seeds 1 to N; 0 leaves them out "
        "(default: 2)",
    )
    parser.add_argument(
        "--long",
        action="store_true",
        help="judge with all planted truths, not only with the main ones, and also the "
        "claims that train once for each demonstration, after every number of them, or "
        "towards ICL's answers; on many draws of one pool of sets; and on a pretrained "
        "model, if it has been fetched; a seed takes many times as long",
    )
    parser.add_argument(
        "--planted-stores",
        type=Path,
        default=Path("build/planted"),
        metavar="FOLDER",
        help="folder of the observations of planted truths while a seed runs; the "
        "verdicts are kept in the folder of the results, in planted/, and a run that "
        "is there is not made again (default: build/planted)",
    )


def run(given: argparse.Namespace) -> int:
    """Simulate what the command line asks for, and write the report.

    Raises:
        OptionError: Earlier results are needed, and the folder has none; or a number
            is too small.
        EngineError: A run with a planted truth ended without a report.
    """
    for option, number, least in (
        ("--processes", given.processes, 1),
        ("--seeds", given.seeds, 0),
    ):
        if number < least:
            raise OptionError(
                f"{option} is {number}. Expected {least} or more. Pass {option} "
                f"{least}."
            )
    earlier = _earlier_outcomes(given.folder) if given.redraw or given.only else []
    sizes = QUICK if given.quick else FULL
    outcomes = earlier
    if not given.redraw:
        outcomes = list(run_study(sizes, processes=given.processes, only=given.only))
    if given.only:
        outcomes = replace_renewed(earlier, outcomes)
    print(write_summary(outcomes, given.folder, rows=given.rows))
    planted = PlantedResults.read(given.folder)
    if not given.redraw:
        planted = _with_planted(planted, given, n_searches=sizes.searches)
    planted = planted.with_runs(list(finished_runs(_runs_of(given.folder))))
    print(planted.write(given.folder))
    return 0


def _with_planted(
    earlier: PlantedResults, given: argparse.Namespace, *, n_searches: int
) -> PlantedResults:
    """Make the runs with planted truths that are missing, and the searches."""
    if given.only in SEARCHES:
        searches = tuple(search_counts(runs=n_searches))
        earlier = replace(earlier, searches=searches)
    parts = tuple(
        part
        for name, part in PARTS.items()
        if given.only in f"planted truths: {name}"
        and (given.long or not part.takes_long)
        and _is_at_hand(part)
    )
    study = PlantedStudy(
        folder=_runs_of(given.folder),
        stores=given.planted_stores,
        n_seeds=given.seeds,
        parts=parts,
        plants=tuple(PLANTS) if given.long else MAIN,
    )
    if not (given.seeds and parts):
        return earlier
    study.run(processes=given.processes)
    return earlier


def _is_at_hand(part: PlantedCells) -> bool:
    """Say whether a part's models have been fetched; print which have not."""
    missing = [
        card.name
        for card, source in packaged_models()
        if card.name in part.models and not is_converted(source.sha256)
    ]
    for name in missing:
        print(
            f"Planted truths, {part.name}: left out, because {name} has not been "
            f"fetched. Run: probes models fetch {name}",
            file=sys.stderr,
        )
    return not missing


def _runs_of(folder: Path) -> Path:
    """Return the folder that keeps the verdicts of planted runs."""
    return folder / "planted"


def _earlier_outcomes(folder: Path) -> list[ErrorRates]:
    if not (folder / "summary.json").is_file():
        raise OptionError(
            f"--folder is {str(folder)!r}, which has no summary.json. Expected the "
            f"results of an earlier study, for --redraw and --only. Run the study "
            f"without these options first."
        )
    return read_outcomes(folder)
