"""Every option of a run, explained in full, as ``--help-all`` prints it."""

from __future__ import annotations

import textwrap

from probes.run.options import RUN_OPTIONS

WIDTH = 100  # columns
INDENT = " " * 4


def options_in_full() -> str:
    """Explain every option, with its default."""
    lines = []
    for each in RUN_OPTIONS:
        value = each.metavar or "|".join(each.choices)
        lines.append(f"{each.name} {value}".rstrip())
        lines += textwrap.wrap(
            each.full_help,
            WIDTH,
            initial_indent=INDENT,
            subsequent_indent=INDENT,
            break_on_hyphens=False,
        )
    return "\n".join(lines)
