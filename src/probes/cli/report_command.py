"""Join runs to one report, draw figures of a run, or print the schema of a row."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from probes.report import write_report
from probes.report.figures import draw_figures
from probes.results.joining import join_runs
from probes.results.reading import read_results, results_of
from probes.results.row_shape import schema_text
from probes.results.rows import write_rows, write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of ``probes report``."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    text = "draw every figure that the rows allow, as SVG and PDF, and LaTeX tables"
    figures = actions.add_parser("figures", help=text, description=text)
    figures.add_argument(
        "results",
        type=Path,
        metavar="RUN",
        help="the report folder of a run, or its results.jsonl",
    )
    figures.add_argument(
        "folder", type=Path, metavar="FOLDER", help="where the files go"
    )
    figures.set_defaults(do=_figures)
    text = "write one report of several runs, corrected over all their cells"
    join = actions.add_parser("join", help=text, description=text)
    join.add_argument("into", type=Path, help="where the report goes")
    join.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="the report folder of a run"
    )
    join.set_defaults(do=_join)
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
    """Draw the figures, and say what the run lacks for the others."""
    drawn = draw_figures(read_results(results_of(given.results)), given.folder)
    for path in drawn.files:
        print(path)
    for name, lack in drawn.lacking.items():
        print(f"not drawn: {name} ({lack})")


def _join(given: argparse.Namespace) -> None:
    rows, run = join_runs(given.runs)
    write_rows(rows, given.into / "results.jsonl")
    write_text(json.dumps(run, indent=1) + "\n", given.into / "run.json")
    write_report(rows, run, given.into)
    print(f"{len(rows)} cells of {len(given.runs)} runs: {given.into / 'index.html'}")


def _schema(given: argparse.Namespace) -> None:
    print(schema_text(), end="")
