"""Which cells are looked at again, and with how many demonstration sets.

A larger draw holds the sets of a smaller one (see ``prompts`` and ``regression``), so
that each look adds sets to those of the last. They are measured together with the
earlier ones: since every look has twice as many, all looks cost less than twice the
last.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from probes.cell import Cell
from probes.errors import OptionError, ProbesError
from probes.learners import InContext
from probes.observations.request import Request
from probes.verdicts.crossed_means import variance_components
from probes.verdicts.group_sequential import Looks
from probes.verdicts.judge import Judge
from probes.verdicts.judgement import Judgement
from probes.verdicts.power import power

HOPELESS = 0.2
"""The chance that the last look shows a gain as large as the measured one, below which
a cell is not measured again; as trials that are stopped for futility use. Stopping so
makes no verdict wrong: the cell stays *not applicable*."""


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

    It stops when it is decided, when it does not apply and is not likely to, after the
    last look, and where its rows suffice for no more sets, which is noted in the row.
    """
    found, cell = judge.judgement, judge.cell
    size = judge.looks.after(cell.settings.n_sets)
    if size is None or found is None or not _is_open(found, judge):
        return None
    larger = replace(cell, settings=replace(cell.settings, n_sets=size))
    if cell.dataset.has_finite_rows:
        try:
            Request.of(larger, InContext()).text_task(lambda rows: rows)
        except ProbesError as error:
            judge.notes(f"not looked at again: {error}")
            return None
    return larger


def _is_open(found: Judgement, judge: Judge) -> bool:
    """Say whether more sets might bring another verdict.

    A cell that lacks room between floor and ceiling stays open if there is any; one
    that lacks a clear gain, unless it is ``HOPELESS``.
    """
    effect, gain = found.effect, judge.lacking
    if found.verdict != "not_applicable":
        return found.verdict == "inconclusive"
    if effect.floor is not None and effect.ceiling is not None:
        return effect.ceiling > effect.floor
    parts = None if gain is None else variance_components(gain.values)
    if gain is None or parts is None or gain.mean <= 0.0:
        return False
    chance = power(
        parts,
        gap=gain.mean,
        n_sets=judge.looks.sizes[-1],
        n_queries=gain.n_queries,
        alpha=judge.alpha,
    )
    return chance >= HOPELESS
