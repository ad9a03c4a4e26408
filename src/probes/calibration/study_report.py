"""Write the results of the study: rows, a page of tables, and a figure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from probes.calibration.error_rate_figure import draw_error_rates
from probes.calibration.gates import GAIN_IN_ERRORS
from probes.calibration.gates import RULE as GATE
from probes.calibration.group_tables import groups_table
from probes.calibration.nested_groups import GROUP_SHARES
from probes.calibration.study import ERRORS_TO_MARGIN, HOME, ErrorRates
from probes.calibration.tables import (
    ALLOWED,
    few_table,
    interim_table,
    matrix_table,
    plain_table,
    rules_table,
    sizes_table,
    whole_table,
    worst_by_truth,
)
from probes.results.rows import write_text
from probes.verdicts.thresholds import (
    ALPHA,
    FEW_FACTOR,
    FEW_SETS,
    LEAST_GAIN,
    SEVERAL_FACTOR,
    WIDENING,
    least_p,
)


def read_outcomes(folder: Path) -> list[ErrorRates]:
    """Read ``summary.json`` back."""
    rows = json.loads((folder / "summary.json").read_text("utf-8"))
    return [ErrorRates(**row) for row in rows]


def write_summary(outcomes: Sequence[ErrorRates], folder: Path, *, rows: Path) -> str:
    """Write ``summary.json``, ``README.md``, ``observed.json`` and a figure.

    The figure needs matplotlib. ``observed.json`` needs the rows of a run.

    Returns:
        The text of ``README.md``.
    """
    plain = [asdict(outcome) for outcome in outcomes]
    write_text(json.dumps(plain, indent=0) + "\n", folder / "summary.json")
    if rows.is_file():
        lines = rows.read_text("utf-8").splitlines()
        observed = observed_shares(json.loads(line) for line in lines)
        write_text(json.dumps(observed, indent=1) + "\n", folder / "observed.json")
    text = study_page(outcomes)
    write_text(text, folder / "README.md")
    draw_error_rates(outcomes, folder / "false-supported.svg")
    return text


def observed_shares(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Summarise the shares of variance in cells with enough sets and queries.

    Returns:
        The number of cells, and the quantiles of each share.
    """
    found = []
    for row in rows:
        effect = row["effects"][0] if row["effects"] else {}
        parts = effect.get("components")
        if parts and min(effect["n_sets"], effect["n_queries"]) >= FEW_SETS:
            total = sum(parts.values())
            if total > 0:
                found.append([parts[name] / total for name in parts])
    quantiles = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0)
    if not found:
        return {"cells": 0}
    table = np.quantile(found, quantiles, axis=0).round(3).T.tolist()
    names = ("sets", "queries", "rest")
    return {
        "cells": len(found),
        "quantiles": quantiles,
        **dict(zip(names, table, strict=True)),
    }


def study_page(outcomes: Sequence[ErrorRates]) -> str:
    """Write the results of the study as Markdown."""
    parts = (
        _introduction(outcomes),
        _single_cells(outcomes),
        _small_designs(outcomes),
        _gates(outcomes),
        _groups(outcomes),
        _rivals(outcomes),
        _units(outcomes),
        _shares_of_the_way(outcomes),
        _interim_analyses(outcomes),
        _whole_matrices(outcomes),
        _rare_failures(outcomes),
        _whole_instrument(outcomes),
    )
    return "\n".join(line for part in parts for line in part)


def _section(title: str, text: str, table: Iterable[str]) -> list[str]:
    paragraph = [text, ""] if text else []
    return [f"## {title}", "", *paragraph, *table, ""]


def _introduction(outcomes: Sequence[ErrorRates]) -> list[str]:
    runs, slow = (
        next(o.runs for o in outcomes if o.rule == rule)
        for rule in ("instrument", "crossed bootstrap")
    )
    return [
        "# How often a verdict is wrong",
        "",
        "`make calibration` writes this page. Each simulation draws crossed sets × "
        "queries whose true mean is known (`src/probes/calibration/simulations.py`). "
        f"The rules are in `rules.py`. Each line is drawn from {runs} matrices, or "
        f"{slow} for rules that resample. The Monte Carlo error of 5 % is then "
        f"{100 * (0.05 * 0.95 / runs) ** 0.5:.2f} % "
        f"({100 * (0.05 * 0.95 / slow) ** 0.5:.1f} %).",
        "",
        "[Planted truths](planted.md) has the shipped claims with a known learner in "
        "place of ICL or of GD, and searches for GD's rate that begin far off.",
        "",
    ]


def _single_cells(outcomes: Sequence[ErrorRates]) -> list[str]:
    rules = _section(
        "Single cells: false *supported* with the mean at the margin",
        f"In percent; the nominal level is {100 * ALPHA:.0f} %. Each number is the "
        "worst among the simulations with one shape of values. The brackets name that "
        "simulation.",
        rules_table(outcomes),
    )
    choice = (
        f"The instrument's rule is the one that never exceeds {100 * ALLOWED:.0f} %. "
        f"It uses two-way variance components with Satterthwaite's t. The standard "
        f"error counts 1 + {WIDENING:g} times the skewness towards the margin. Below "
        f"{FEW_SETS} sets, every p is multiplied by {FEW_FACTOR}."
    )
    sizes = _section(
        "Errors and power of the instrument's rule, by size", "", sizes_table(outcomes)
    )
    return [*rules, choice, "", *sizes]


def _small_designs(outcomes: Sequence[ErrorRates]) -> list[str]:
    return _section(
        "Few sets or few queries",
        "The same rule. If a design is too small for a verdict, the row is "
        "inconclusive and says which option to raise.",
        few_table(outcomes),
    )


def _interim_analyses(outcomes: Sequence[ErrorRates]) -> list[str]:
    return _section(
        "Interim analyses until a cell is decided",
        "The same rule with `--until-decided`, at 10, 20, 40 and 80 sets. In the first "
        "line, each analysis has the level that keeps all of them together at 5 %. In "
        "the second line, as a warning, each has 5 %. The margin is smaller than "
        "above, by a factor of √2.",
        interim_table(outcomes),
    )


def _gates(outcomes: Sequence[ErrorRates]) -> list[str]:
    return _section(
        "Gates: is there a gain to explain?",
        "A cell without a clear gain is *not applicable* only if no gain is measured, "
        f"and one of {LEAST_GAIN:g} is excluded; else it is *inconclusive*. True gains "
        f"are {GAIN_IN_ERRORS:g} standard errors. False *refuted* stands here for a "
        "true gain that is dismissed as *not applicable*, false *supported* for no "
        "gain that passes, power for a true gain that passes.",
        worst_by_truth(o for o in outcomes if o.rule == GATE),
    )


def _groups(outcomes: Sequence[ErrorRates]) -> list[str]:
    return _section(
        "Rows that come in groups",
        "Sets are nested in groups, and groups have queries of their own. Groups are "
        f"{', '.join(f'{100 * share:.0f}' for share in GROUP_SHARES)} % of the "
        "variance of the means of sets; the first two shares were measured on `hmm` "
        "with 80 sets of eight concepts. A verdict speaks of *these groups* with sets "
        "as units, and with `--new-groups` of *new groups* with groups as units. To "
        "speak of new groups with sets as units is a mistake, shown as a warning. The "
        f"margin is {ERRORS_TO_MARGIN:g} standard errors of each design.",
        groups_table(outcomes),
    )


def _rivals(outcomes: Sequence[ErrorRates]) -> list[str]:
    return _section(
        "Several means at once: is any of five rivals nearer?",
        "The claim holds if GD's excess over every rival is below the margin. "
        "*Supported* takes the largest p over all rivals, *refuted* that of Simes, "
        f"times {SEVERAL_FACTOR}, over rivals that are not clearly inside. To judge "
        "only the rival that is nearest in the sample is a mistake, shown as a "
        "warning.",
        worst_by_truth(o for o in outcomes if o.rule.startswith("rivals: ")),
    )


def _units(outcomes: Sequence[ErrorRates]) -> list[str]:
    return _section(
        "Units that are estimated",
        "Distances in units of the answers' root mean square. The instrument's rule "
        "lets the unit's own error count. To take the unit as known is a mistake, "
        "shown as a warning.",
        plain_table(o for o in outcomes if o.rule.startswith("units: ")),
    )


def _shares_of_the_way(outcomes: Sequence[ErrorRates]) -> list[str]:
    return _section(
        "Similarities between a floor and a ceiling that have errors of their own",
        "The ceiling lies 35 standard errors above the floor (much room), 10 (some) or "
        "4 (little). Where it is not clearly above, the cell is not decided.",
        plain_table(o for o in outcomes if o.simulation.startswith("ratio")),
    )


def _whole_matrices(outcomes: Sequence[ErrorRates]) -> list[str]:
    return _section(
        "Whole matrices",
        "The share of matrices that have any false verdict. Power is the share of true "
        "cells that are found. A run corrects *supported* and *refuted* each by "
        "Benjamini–Hochberg over its distinct comparisons, and never treats a p as "
        f"smaller than {least_p(1):g} / sets ({least_p(HOME[0]):g} at {HOME[0]} sets). "
        "Without that least p, simulations with skewed or two-valued values have a "
        "false verdict too often: a very small p from few sets is not reliable. In "
        "threes, three cells in a row share all their values. If half of the cells "
        "hold, Benjamini–Hochberg bounds the share of false ones among those found, "
        "not the chance of any.",
        matrix_table(outcomes),
    )


def _rare_failures(outcomes: Sequence[ErrorRates]) -> list[str]:
    return _section(
        "What no rule sees",
        "The claim fails completely, but in few demonstration sets. A run that draws "
        "none of these sets has equal values everywhere. Its row then says how large a "
        "share of failing sets could have stayed unseen. To look again with more sets "
        "does not help, since the first look decides.",
        plain_table(o for o in outcomes if o.rule.endswith("at its limit")),
    )


def _whole_instrument(outcomes: Sequence[ErrorRates]) -> list[str]:
    return _section(
        "The whole instrument, with networks of known truth in place of ICL",
        "",
        whole_table(o for o in outcomes if o.rule == "whole instrument"),
    )
