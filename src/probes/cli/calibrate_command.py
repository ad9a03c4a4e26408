"""Measure how often verdicts are wrong, on simulations of known truth."""

from __future__ import annotations

import argparse
from pathlib import Path

from probes.calibration.study_parts import FULL, QUICK, replace_renewed, run_study
from probes.calibration.study_report import read_outcomes, write_summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``probes calibrate``."""
    parser.add_argument("--quick", action="store_true", help="an eighth of the runs")
    parser.add_argument(
        "--redraw", action="store_true", help="only draw summary.json again"
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="TEXT",
        help="run the parts whose names contain the text; keep the others' results",
    )
    parser.add_argument(
        "--processes", type=int, default=2, help="simulations at once (default: 2)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("reports/calibration"),
        help="where results go (default: reports/calibration)",
    )
    parser.add_argument(
        "--rows",
        type=Path,
        default=Path("reports/sample/results.jsonl"),
        help="rows whose shares of variance are summed up "
        "(default: reports/sample/results.jsonl)",
    )


def run(given: argparse.Namespace) -> int:
    """Run the study that the command line asks for, and write its report."""
    if given.redraw:
        outcomes = read_outcomes(given.folder)
    else:
        sizes = QUICK if given.quick else FULL
        outcomes = list(run_study(sizes, processes=given.processes, only=given.only))
    if given.only:
        outcomes = replace_renewed(read_outcomes(given.folder), outcomes)
    print(write_summary(outcomes, given.folder, rows=given.rows))
    return 0
