"""Which cells are looked at again, and with how many demonstration sets.

A larger draw holds the sets of a smaller one (see ``prompts`` and ``regression``), so
that each look adds sets to those of the last. They are measured together with the
earlier ones: since every look has twice as many, all looks cost less than twice the
last.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from probes.errors import OptionError, ProbesError
from probes.judge import Judge
from probes.learners import InContext
from probes.request import Request
from probes.sequential import Looks
from probes.tasks import Cell


def looks_of(option: Any) -> Looks | None:
    """Read ``--until-decided``; None without it.

    Raises:
        OptionError: It leaves no second look, or its verdicts are to be recorded.
    """
    most = option.until_decided
    if most is None:
        return None
    if option.update_expected:
        raise OptionError(
            f"--until-decided {most} and --update-expected were both given. Expected "
            f"a record of cells that were all judged at the same size. Leave one away."
        )
    return Looks.doubled(option.sets, most)


def next_look(judge: Judge) -> Cell | None:
    """Return the cell with the sets of its next look; None where it stops.

    It stops when it is decided or does not apply, after the last look, and where its
    rows suffice for no more sets, which is noted in the row.
    """
    found, cell = judge.judgement, judge.cell
    size = judge.looks.after(cell.settings.n_sets)
    if size is None or found is None or found.verdict != "inconclusive":
        return None
    larger = replace(cell, settings=replace(cell.settings, n_sets=size))
    if cell.dataset.family == "text":
        try:
            Request.of(larger, InContext()).text_task(lambda rows: rows)
        except ProbesError as error:
            judge.notes(f"not looked at again: {error}")
            return None
    return larger
