"""Write the catalogue page: every claim, its sources, and what a run found."""

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
        "places", nargs="*", default=["claims"], help="files or folders of claims"
    )
    parser.add_argument("--results", type=Path, help="the results.jsonl of a run")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("reports/catalogue.md"),
        help="the page (default: reports/catalogue.md)",
    )


def run(given: argparse.Namespace) -> int:
    """Write the page of the claims under some places.

    Raises:
        ProbesError: The claims or the rows cannot be read, or the page not written.
    """
    rows = [] if given.results is None else read_results(given.results)
    write_text(catalogue_page(find_claims(given.places), rows), given.out)
    return 0
