"""Write the catalogue: every claim, its sources, and what a run found."""

from __future__ import annotations

import argparse
from pathlib import Path

from probes.results.reading import read_results
from probes.results.rows import write_text
from probes.run.catalogue_page import catalogue_page
from probes.run.listing import find_claims


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``probes catalogue``."""
    parser.add_argument(
        "places",
        nargs="*",
        default=["claims"],
        help="files or folders of claims (default: claims)",
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FILE",
        help="results.jsonl of the run whose verdicts the page shows (default: none)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("reports/catalogue.md"),
        metavar="FILE",
        help="the page (default: reports/catalogue.md)",
    )


def run(given: argparse.Namespace) -> int:
    """Write the page of the claims that the command line names.

    Raises:
        ProbesError: A file cannot be read or written.
    """
    rows = [] if given.results is None else read_results(given.results)
    write_text(catalogue_page(find_claims(given.places), rows), given.out)
    return 0
