"""Which cells are judged again with more demonstration sets: ``--until-decided``.

In a group-sequential design, each interim analysis (a *look*) uses all data so far. A
larger draw contains the sets of a smaller one (see ``data.text_tasks`` and
``data.regression_tasks``), so each look adds sets to those of the look before. A look
measures all its sets again. Since every look has twice as many sets as the one before,
all looks together cost less than twice the last one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from probes.cell import Cell
from probes.errors import OptionError, ProbesError
from probes.learners import InContext
from probes.observations.request import Request
from probes.verdicts.crossed_means import variance_components
from probes.verdicts.group_sequential import GroupSequentialDesign
from probes.verdicts.judge import Judge
from probes.verdicts.judgement import Judgement
from probes.verdicts.power import power

HOPELESS = 0.2
"""A cell without a clear gain stops for futility if the last look would show a gain of
the measured size with less than this probability. Stopping makes no verdict wrong: the
cell stays *not applicable*."""


def looks_of(option: Any) -> GroupSequentialDesign | None:
    """Read ``--until-decided`` from parsed options.

    Returns:
        The numbers of sets at which a cell may be judged; None without the option.

    Raises:
        OptionError: The option leaves no second look, or ``--update-expected`` is given
            too.
    """
    most = option.until_decided
    if most is None:
        return None
    if option.update_expected:
        raise OptionError(
            f"--until-decided {most} and --update-expected were both given. Expected "
            f"a record of cells that were all judged at the same number of sets. Leave "
            f"one of the two options out."
        )
    return GroupSequentialDesign.doubling(option.sets, most)


def next_look(judge: Judge) -> Cell | None:
    """Return the cell with the sets of its next look; None if there is none.

    There is none after the last look, for a cell that is decided or does not apply, and
    for a cell whose gain will probably never be clear. If the dataset has too few rows
    for more sets, there is none either, and the row says so.
    """
    judgement, cell = judge.judgement, judge.cell
    size = judge.design.next_size(cell.settings.n_sets)
    if size is None or judgement is None or not _is_open(judgement, judge):
        return None
    larger = replace(cell, settings=replace(cell.settings, n_sets=size))
    if cell.dataset.has_finite_rows:
        try:
            Request.of(larger, InContext()).text_task(lambda rows: rows)
        except ProbesError as error:
            judge.record(f"no further look: {error}")
            return None
    return larger


def _is_open(judgement: Judgement, judge: Judge) -> bool:
    """Say whether more sets might lead to another verdict.

    A cell without a clear gain stays open unless it is ``HOPELESS``.
    """
    gain = judge.lacking
    if judgement.verdict != "inconclusive" or gain is None:
        return judgement.verdict == "inconclusive"
    parts = variance_components(gain.values)
    if parts is None or gain.mean <= 0.0:
        return False
    chance = power(
        parts,
        gap=gain.mean,
        n_sets=judge.design.sizes[-1],
        n_queries=gain.n_queries,
        alpha=judge.alpha,
    )
    return chance >= HOPELESS
