"""The command ``probes``, also as ``python -m probes``: one sub-command for each task.

A sub-command is a module with a ``SUMMARY``, ``add_arguments(parser)`` and
``run(given) -> int``. It is imported only when it is asked for, so that help is fast.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

from probes.errors import ProbesError
from probes.report.matrix import plain

UNUSABLE = 4
"""Exit status when options, models or files cannot be used, as in a run of pytest."""
LONGEST_MESSAGE = 2000  # characters of an error that quotes somebody's file

COMMANDS = {
    "store": "list, verify, export, prune or clean the stored observations",
    "compare": "compare the results of two runs, cell by cell",
    "report": "draw the figures of a paper, or print the schema of results.jsonl",
    "calibrate": "measure how often verdicts are wrong on worlds of known truth",
    "catalogue": "write the page of all claims, with what a run found",
}

EPILOG = """\
Claims are judged by pytest, not by this command:

    pytest claims/ -n auto            judge the shipped matrix
    pytest claims/ --list-claims      list the claims; also --list-models and
                                      --list-datasets
    pytest claims/ --help             explain every option of a run

Each command explains itself: probes store --help. Exit status: 0 for success, 4 if
something given cannot be used; other values are explained by the command.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sub-command that the command line names.

    Returns:
        The exit status: the sub-command's own, or 4 if what was given cannot be used.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    given = _parser(words[0] if words else "").parse_args(words)
    try:
        return int(given.run(given))
    except ProbesError as error:
        # An error may quote a file from anywhere: it must not steer the terminal.
        print(plain(error, LONGEST_MESSAGE), file=sys.stderr)
        return UNUSABLE


def _parser(wanted: str) -> argparse.ArgumentParser:
    """Build the parser; only the wanted command's own arguments are added."""
    parser = argparse.ArgumentParser(
        prog="probes",
        description="Tools around the matrix of claims on in-context learning.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == wanted:
            module = _module(name)
            command.description = module.__doc__
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"probes.cli.{name}_command")
