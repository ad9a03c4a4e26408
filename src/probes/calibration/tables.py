"""Tables of outcomes in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scipy.stats import binomtest

from probes.calibration.many_cells import CLAIMS, CORRECTIONS
from probes.calibration.stopping import TELLING
from probes.calibration.study import FEW, Outcome
from probes.verdicts.thresholds import LEAST_QUERIES, LEAST_SETS

ALLOWED = 0.06
"""The most that false *supported* at the margin may be: ALPHA and a Monte Carlo error
of 8000 runs (.0024) four times."""


def percent(value: float | None) -> str:
    """Write a share in percent; nothing where there is none."""
    return "" if value is None else f"{100 * value:.1f}"


def share_text(share: float | None, runs: int) -> str:
    """Write a share of runs in percent, with its 95 % interval (Clopper, Pearson)."""
    if share is None:
        return ""
    found = binomtest(round(share * runs), runs).proportion_ci(0.95)
    return f"{percent(share)} [{percent(found.low)}, {percent(found.high)}]"


def whole_table(outcomes: Iterable[Outcome]) -> list[str]:
    """Write what became of learners of known truth, with intervals."""
    lines = [
        "| in the place of ICL | truth | false supported | false refuted | power | "
        "runs |",
        "|---|---|---|---|---|---|",
    ]
    for o in outcomes:
        shares = (o.false_supported, o.false_refuted, o.power)
        told = " | ".join(share_text(share, o.runs) for share in shares)
        lines.append(f"| {o.world} | {o.truth} | {told} | {o.runs} |")
    return lines


def plain_table(outcomes: Iterable[Outcome]) -> list[str]:
    """Write outcomes line by line."""
    lines = [
        "| rule | world | sets × queries | truth | false supported | false refuted | "
        "power | runs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {o.rule} | {o.world} | {o.n_sets} × {o.n_queries} | {o.truth} | "
        f"{percent(o.false_supported)} | {percent(o.false_refuted)} | "
        f"{percent(o.power)} | {o.runs} |"
        for o in outcomes
    ]
    return lines


def matrix_table(outcomes: Sequence[Outcome]) -> list[str]:
    """Sum up matrices over worlds: the worst of any false *supported*, and power."""
    lines = [
        "| cells | of them inside | correction | any false supported, worst | worlds "
        f"above {100 * ALLOWED:.0f} % | power, normal typical | power, all worlds |",
        "|---|---|---|---|---|---|---|",
    ]
    for n_cells in CLAIMS:
        of_size = [o for o in outcomes if o.world.startswith(f"{n_cells} cells, ")]
        for truth in dict.fromkeys(o.truth for o in of_size):
            for correction in CORRECTIONS:
                rule = f"instrument, corrected: {correction}"
                found = [o for o in of_size if o.truth == truth and o.rule == rule]
                lines += _matrix_line(found, n_cells, truth, correction)
    return lines


def _matrix_line(
    found: Sequence[Outcome], n_cells: int, truth: str, correction: str
) -> list[str]:
    if not found:
        return []
    top = max(found, key=lambda o: o.false_supported or 0.0)
    above = sum((o.false_supported or 0.0) > ALLOWED for o in found)
    powers = [o.power for o in found if o.power is not None]
    typical = [o.power for o in found if o.world.endswith("normal, typical")]
    span = f"{percent(min(powers))} to {percent(max(powers))}" if powers else ""
    return [
        f"| {n_cells} | {truth.split()[0]} | {correction} | "
        f"{percent(top.false_supported)} ({top.world.partition(', ')[2]}) | "
        f"{above} of {len(found)} | {percent(typical[0] if typical else None)} | "
        f"{span} |"
    ]


def few_table(outcomes: Sequence[Outcome]) -> list[str]:
    """Sum up over worlds what few sets or queries do, and which of them decide."""
    lines = [
        "| sets × queries | a verdict is given | false supported, worst | false "
        "refuted, worst |",
        "|---|---|---|---|",
    ]
    for n_sets, n_queries in FEW:
        found = [
            o
            for o in outcomes
            if o.rule == "instrument, few"
            and (o.n_sets, o.n_queries) == (n_sets, n_queries)
        ]
        if not found:
            continue
        decides = n_sets >= LEAST_SETS and n_queries >= LEAST_QUERIES
        top = max(found, key=lambda o: o.false_supported or 0.0)
        refuted = max(o.false_refuted or 0.0 for o in found)
        lines.append(
            f"| {n_sets} × {n_queries} | {'yes' if decides else 'no'} | "
            f"{percent(top.false_supported)} ({top.world}) | {percent(refuted)} |"
        )
    return lines


def looks_table(outcomes: Sequence[Outcome]) -> list[str]:
    """Sum up over worlds what looking again does, at each level of a look."""
    lines = [
        "| each look at | false supported, worst | false refuted, worst | power, "
        "normal typical | power, all worlds |",
        "|---|---|---|---|---|",
    ]
    for rule, level in TELLING.items():
        found = [o for o in outcomes if o.rule == rule]
        if not found:
            continue
        top = max(found, key=lambda o: o.false_supported or 0.0)
        refuted = max(o.false_refuted or 0.0 for o in found)
        powers = {o.world: o.power for o in found if o.truth == "inside"}
        known = [power for power in powers.values() if power is not None]
        lines.append(
            f"| {100 * level:.2f} % | {percent(top.false_supported)} ({top.world}) | "
            f"{percent(refuted)} | {percent(powers.get('normal, typical'))} | "
            f"{percent(min(known))} to {percent(max(known))} |"
        )
    return lines
