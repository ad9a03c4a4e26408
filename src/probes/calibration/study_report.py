"""What the study found, as rows, as a table in words, and as a picture."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from probes.calibration.rules import RULES
from probes.calibration.study import HOME, SIZES, Outcome
from probes.calibration.tables import (
    ALLOWED,
    few_table,
    looks_table,
    matrix_table,
    percent,
    plain_table,
    whole_table,
)
from probes.results.rows import write_text
from probes.verdicts.thresholds import ALPHA, FEW_FACTOR, FEW_SETS, TAIL, least_p


def read_outcomes(folder: Path) -> list[Outcome]:
    """Read ``summary.json`` back."""
    rows = json.loads((folder / "summary.json").read_text("utf-8"))
    return [Outcome(**row) for row in rows]


def write_summary(outcomes: Sequence[Outcome], folder: Path, *, rows: Path) -> str:
    """Write ``summary.json``, ``README.md``, ``observed.json`` and a picture.

    The picture needs matplotlib, ``observed.json`` the rows of a run.

    Returns:
        What ``README.md`` says.
    """
    plain = [asdict(outcome) for outcome in outcomes]
    write_text(json.dumps(plain, indent=0) + "\n", folder / "summary.json")
    if rows.is_file():
        lines = rows.read_text("utf-8").splitlines()
        observed = observed_shares(json.loads(line) for line in lines)
        write_text(json.dumps(observed, indent=1) + "\n", folder / "observed.json")
    text = page(outcomes)
    write_text(text, folder / "README.md")
    _draw(outcomes, folder / "false-supported.svg")
    return text


def observed_shares(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Sum up the shares of variance in the cells of a run that have enough of both.

    Returns:
        Number of cells, and the quantiles of each share.
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


def page(outcomes: Sequence[Outcome]) -> str:
    """Write what was found, as Markdown."""
    runs, slow = (
        next(o.runs for o in outcomes if o.rule == rule)
        for rule in ("instrument", "crossed bootstrap")
    )
    return "\n".join(
        [
            "# How often a verdict is wrong",
            "",
            "Written by `make calibration`. Worlds are crossed sets × queries whose "
            "true mean is known (`src/probes/calibration/simulations.py`); rules are "
            "in `rules.py`. "
            f"{runs} matrices for each line ({slow} for rules that "
            f"resample): the Monte Carlo error of 5 % is "
            f"{100 * (0.05 * 0.95 / runs) ** 0.5:.2f} % "
            f"({100 * (0.05 * 0.95 / slow) ** 0.5:.1f} %).",
            "",
            "## Single cells: false *supported*, the mean being at the margin",
            "",
            f"In percent, nominal {100 * ALPHA:.0f} %. Each figure is the worst of the "
            "worlds of one shape of values; in brackets is the world.",
            "",
            *_rules_table(outcomes),
            "",
            f"The instrument's rule is the one whose worst is at most "
            f"{100 * ALLOWED:.0f} %: two-way variance components with Satterthwaite's "
            f"t, in which skewness towards the margin counts {TAIL:g} times, and below "
            f"{FEW_SETS} sets every p {FEW_FACTOR} times.",
            "",
            "## Its errors and its power by size",
            "",
            *_sizes_table(outcomes),
            "",
            "## Few sets, few queries",
            "",
            "The same rule. Where no verdict is given, the row is inconclusive and "
            "says which option to raise.",
            "",
            *few_table(outcomes),
            "",
            "## Looking again until a cell is decided",
            "",
            "With `--until-decided`, at 10, 20, 40 and 80 sets: the same rule, each "
            "look at the level that keeps all together at 5 %, and as a warning each "
            "at 5 %. The margin is nearer than above, by √2.",
            "",
            *looks_table(outcomes),
            "",
            "## Similarities between a floor and a ceiling with errors of their own",
            "",
            *plain_table(o for o in outcomes if o.world.startswith("ratio")),
            "",
            "## Whole matrices",
            "",
            "False *supported* is the share of matrices with any; power the share of "
            "true cells found. A run corrects by Benjamini–Hochberg over its cells, "
            "and reads no p of *supported* as less than "
            f"{least_p(1):g} / sets ({least_p(HOME[0]):g} at {HOME[0]} sets). Without "
            "that least p, skewed and two-valued worlds have any false *supported* "
            "too often: a very small p from few sets says less than it seems. Where "
            "half of the cells hold, Benjamini–Hochberg bounds the share of false ones "
            "among those found, not the chance of any.",
            "",
            *matrix_table(outcomes),
            "",
            "## What no rule sees",
            "",
            "The claim fails wholly, but in few demonstration sets; a run that meets "
            "none of them has equal values everywhere, and says in the row that its "
            "support rests on nothing that varies.",
            "",
            *plain_table(o for o in outcomes if o.rule.endswith("at its limit")),
            "",
            "## The whole instrument, with learners of known truth in the place of ICL",
            "",
            *whole_table(o for o in outcomes if o.rule == "whole instrument"),
            "",
        ]
    )


def _cells(outcomes: Iterable[Outcome], rule: str) -> list[Outcome]:
    special = ("ratio", "48 cells", "500 cells")
    return [o for o in outcomes if o.rule == rule and not o.world.startswith(special)]


def _shapes(outcomes: Iterable[Outcome]) -> list[str]:
    names = [o.world.partition(",")[0] for o in _cells(outcomes, "instrument")]
    return list(dict.fromkeys(names))


def _rules_table(outcomes: Sequence[Outcome]) -> list[str]:
    shapes = _shapes(outcomes)
    lines = [
        "| rule | " + " | ".join(shapes) + " |",
        "|---" * (len(shapes) + 1) + "|",
    ]
    for rule in RULES:
        at = [o for o in _cells(outcomes, rule) if o.truth == "at the margin"]
        worst = []
        for shape in shapes:
            found = [o for o in at if o.world.startswith(f"{shape},")]
            top = max(found, key=lambda o: o.false_supported or 0.0)
            profile = top.world.partition(", ")[2]
            worst.append(
                f"{percent(top.false_supported)} ({profile}, {top.n_sets} × "
                f"{top.n_queries})"
            )
        lines.append(f"| {rule} | " + " | ".join(worst) + " |")
    return lines


def _sizes_table(outcomes: Sequence[Outcome]) -> list[str]:
    """Sum up the instrument's rule: the worst error and the range of power by size."""
    lines = [
        "| sets × queries | false supported, worst | false refuted, worst | power, "
        "normal typical | power, all worlds |",
        "|---|---|---|---|---|",
    ]
    for size in SIZES:
        found = [
            o for o in _cells(outcomes, "instrument") if (o.n_sets, o.n_queries) == size
        ]
        supported = max(o.false_supported or 0.0 for o in found)
        refuted = max(o.false_refuted or 0.0 for o in found)
        inside = [o for o in found if o.truth == "inside"]
        power = [o.power for o in inside if o.power is not None]
        typical = [o.power for o in inside if o.world == "normal, typical"]
        lines.append(
            f"| {size[0]} × {size[1]} | {percent(supported)} | {percent(refuted)} | "
            f"{percent(typical[0])} | {percent(min(power))} to "
            f"{percent(max(power))} |"
        )
    return lines


def _draw(outcomes: Sequence[Outcome], path: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return  # an optional extra
    shapes = _shapes(outcomes)
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for rule in RULES:
        at = [
            o
            for o in _cells(outcomes, rule)
            if o.truth == "at the margin" and (o.n_sets, o.n_queries) == HOME
        ]
        worst = [
            max(o.false_supported or 0 for o in at if o.world.startswith(f"{s},"))
            for s in shapes
        ]
        axes.plot(shapes, [100 * w for w in worst], marker="o", label=rule)
    axes.axhline(100 * ALLOWED, color="black", linestyle=":", label="allowed")
    axes.set_ylabel("false supported at the margin, %")
    axes.set_title(f"Worst world of each shape, {HOME[0]} sets × {HOME[1]} queries")
    axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})
