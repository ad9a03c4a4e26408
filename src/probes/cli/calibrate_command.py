"""Measure how often verdicts are wrong, on simulated data whose truth is known."""

from __future__ import annotations

import argparse
from pathlib import Path

from probes.calibration.study import ErrorRates
from probes.calibration.study_parts import FULL, QUICK, replace_renewed, run_study
from probes.calibration.study_report import read_outcomes, write_summary
from probes.errors import OptionError


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


def run(given: argparse.Namespace) -> int:
    """Simulate what the command line asks for, and write the report.

    Raises:
        OptionError: Earlier results are needed, and the folder has none; or the number
            of processes is below 1.
    """
    if given.processes < 1:
        raise OptionError(
            f"--processes is {given.processes}. Expected 1 or more. Pass --processes 1."
        )
    earlier = _earlier_outcomes(given.folder) if given.redraw or given.only else []
    if given.redraw:
        outcomes = earlier
    else:
        sizes = QUICK if given.quick else FULL
        outcomes = list(run_study(sizes, processes=given.processes, only=given.only))
    if given.only:
        outcomes = replace_renewed(earlier, outcomes)
    print(write_summary(outcomes, given.folder, rows=given.rows))
    return 0


def _earlier_outcomes(folder: Path) -> list[ErrorRates]:
    if not (folder / "summary.json").is_file():
        raise OptionError(
            f"--folder is {str(folder)!r}, which has no summary.json. Expected the "
            f"results of an earlier study, for --redraw and --only. Run the study "
            f"without these options first."
        )
    return read_outcomes(folder)
