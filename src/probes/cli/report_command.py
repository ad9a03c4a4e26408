"""Draw the figures of a paper from the rows of a run, or print the schema of a row."""

from __future__ import annotations

import argparse
from pathlib import Path

from probes.report.figures import draw_figures
from probes.results.reading import read_results
from probes.results.row_shape import schema_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of ``probes report``."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    text = "draw every figure that the rows allow, as SVG and PDF"
    figures = actions.add_parser("figures", help=text, description=text)
    figures.add_argument("results", type=Path, help="the results.jsonl of a run")
    figures.add_argument("folder", type=Path, help="where the SVG and PDF files go")
    figures.set_defaults(do=_figures)
    text = "print the JSON schema of a row of results.jsonl"
    schema = actions.add_parser("schema", help=text, description=text)
    schema.set_defaults(do=_schema)


def run(given: argparse.Namespace) -> int:
    """Do what the command line names.

    Raises:
        ProbesError: The rows cannot be read or the folder cannot be written.
    """
    given.do(given)
    return 0


def _figures(given: argparse.Namespace) -> None:
    """Draw the figures, and name those for which the run has no rows."""
    drawn, lacking = draw_figures(read_results(given.results), given.folder)
    for path in drawn:
        print(path)
    for plan in lacking:
        print(f"not drawn: {plan.name} (no rows of {' or '.join(plan.claims)})")


def _schema(given: argparse.Namespace) -> None:
    print(schema_text(), end="")
