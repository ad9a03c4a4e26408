"""Draw from the rows of a finished run: ``python -m probes.report figures …``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from probes.errors import ProbesError
from probes.report.figures import draw_figures
from probes.report.matrix import plain
from probes.results.reading import read_rows_of

UNUSABLE = 4  # as a run's exit status for options that cannot be used


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        Exit status: 0 if something was drawn, 4 if what was given cannot be used.
    """
    asked = _parser().parse_args(arguments)
    try:
        drawn, lacking = draw_figures(read_rows_of(asked.results), asked.folder)
    except ProbesError as error:
        print(plain(error, 2000), file=sys.stderr)
        return UNUSABLE
    for path in drawn:
        print(path)
    for plan in lacking:
        print(f"not drawn: {plan.name} (no rows of {' or '.join(plan.claims)})")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m probes.report", description=__doc__
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    figures = commands.add_parser("figures", help="draw pictures for papers")
    figures.add_argument("results", type=Path, help="the results.jsonl of a run")
    figures.add_argument("folder", type=Path, help="where the SVG and PDF files go")
    return parser


if __name__ == "__main__":
    sys.exit(main())
