"""Draw the figures of a paper as SVG and PDF, from the rows of a finished run."""

from __future__ import annotations

import argparse
from pathlib import Path

from probes.report.figures import draw_figures
from probes.results.reading import read_rows_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``probes report``."""
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    text = "draw every figure for which the run has rows"
    figures = kinds.add_parser("figures", help=text, description=text)
    figures.add_argument("results", type=Path, help="results.jsonl of the run")
    figures.add_argument("folder", type=Path, help="folder of the SVG and PDF files")


def run(given: argparse.Namespace) -> int:
    """Draw the figures, and name the ones for which the run has no rows.

    Raises:
        ProbesError: The rows cannot be read or the folder cannot be written.
    """
    drawn, lacking = draw_figures(read_rows_of(given.results), given.folder)
    for path in drawn:
        print(path)
    for plan in lacking:
        print(f"not drawn: {plan.name} (no rows of {' or '.join(plan.claims)})")
    return 0
