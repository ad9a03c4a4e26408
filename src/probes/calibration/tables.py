"""Write error rates as tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scipy.stats import binomtest

from probes.calibration.many_cells import CLAIMS, CORRECTIONS, SMALL
from probes.calibration.rules import RULES
from probes.calibration.stopping import LEVELS
from probes.calibration.study import FEW, SIZES, ErrorRates
from probes.verdicts.thresholds import LEAST_QUERIES, LEAST_SETS

ALLOWED = 0.06
"""The largest share of false *supported* that is allowed at the margin: ALPHA plus four
Monte Carlo errors of 8000 runs (.0024 each)."""


def percent(value: float | None) -> str:
    """Write a share in percent; an empty text for None."""
    return "" if value is None else f"{100 * value:.1f}"


def share_text(share: float | None, runs: int) -> str:
    """Write a share of runs in percent, with its 95 % interval (Clopper, Pearson)."""
    if share is None:
        return ""
    interval = binomtest(round(share * runs), runs).proportion_ci(0.95)
    return f"{percent(share)} [{percent(interval.low)}, {percent(interval.high)}]"


def cells_of_rule(outcomes: Iterable[ErrorRates], rule: str) -> list[ErrorRates]:
    """Select the single cells that a rule judged, without ratios and matrices."""
    special = ("ratio", "48 cells", "500 cells")
    return [
        o for o in outcomes if o.rule == rule and not o.simulation.startswith(special)
    ]


def shapes_of_values(outcomes: Iterable[ErrorRates]) -> list[str]:
    """List the shapes of values that were simulated, such as "normal"."""
    names = [
        o.simulation.partition(",")[0] for o in cells_of_rule(outcomes, "instrument")
    ]
    return list(dict.fromkeys(names))


def rules_table(outcomes: Sequence[ErrorRates]) -> list[str]:
    """Compare the rules: the worst error at the margin for each shape of values."""
    shapes = shapes_of_values(outcomes)
    lines = [
        "| rule | " + " | ".join(shapes) + " |",
        "|---" * (len(shapes) + 1) + "|",
    ]
    for rule in RULES:
        at = [o for o in cells_of_rule(outcomes, rule) if o.truth == "at the margin"]
        worst = []
        for shape in shapes:
            found = [o for o in at if o.simulation.startswith(f"{shape},")]
            top = max(found, key=lambda o: o.false_supported or 0.0)
            profile = top.simulation.partition(", ")[2]
            worst.append(
                f"{percent(top.false_supported)} ({profile}, {top.n_sets} × "
                f"{top.n_queries})"
            )
        lines.append(f"| {rule} | " + " | ".join(worst) + " |")
    return lines


def sizes_table(outcomes: Sequence[ErrorRates]) -> list[str]:
    """Summarise the instrument's rule: worst error and range of power by size."""
    lines = [
        "| sets × queries | false supported, worst | false refuted, worst | power, "
        "normal typical | power, all simulations |",
        "|---|---|---|---|---|",
    ]
    for size in SIZES:
        found = [
            o
            for o in cells_of_rule(outcomes, "instrument")
            if (o.n_sets, o.n_queries) == size
        ]
        supported = max(o.false_supported or 0.0 for o in found)
        refuted = max(o.false_refuted or 0.0 for o in found)
        inside = [o for o in found if o.truth == "inside"]
        power = [o.power for o in inside if o.power is not None]
        typical = [o.power for o in inside if o.simulation == "normal, typical"]
        lines.append(
            f"| {size[0]} × {size[1]} | {percent(supported)} | {percent(refuted)} | "
            f"{percent(typical[0])} | {percent(min(power))} to "
            f"{percent(max(power))} |"
        )
    return lines


def whole_table(outcomes: Iterable[ErrorRates]) -> list[str]:
    """Write the results of networks of known truth, with intervals."""
    lines = [
        "| in place of ICL | truth | false supported | false refuted | power | runs |",
        "|---|---|---|---|---|---|",
    ]
    for o in outcomes:
        shares = (o.false_supported, o.false_refuted, o.power)
        texts = " | ".join(share_text(share, o.runs) for share in shares)
        lines.append(f"| {o.simulation} | {o.truth} | {texts} | {o.runs} |")
    return lines


def plain_table(outcomes: Iterable[ErrorRates]) -> list[str]:
    """Write one line for each outcome."""
    lines = [
        "| rule | simulation | sets × queries | truth | false supported | "
        "false refuted | power | runs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {o.rule} | {o.simulation} | {o.n_sets} × {o.n_queries} | {o.truth} | "
        f"{percent(o.false_supported)} | {percent(o.false_refuted)} | "
        f"{percent(o.power)} | {o.runs} |"
        for o in outcomes
    ]
    return lines


def matrix_table(outcomes: Sequence[ErrorRates]) -> list[str]:
    """Summarise matrices over simulations: worst share with a false one, and power."""
    lines = [
        "| cells | inside the margin | correction | any false supported, worst | "
        f"any false refuted, worst | simulations above {100 * ALLOWED:.0f} % | "
        "power, normal typical | power, all simulations |",
        "|---|---|---|---|---|---|---|---|",
    ]
    kinds = [f"{n_cells} cells, " for n_cells in CLAIMS]
    in_threes = f"{SMALL} cells, in threes, "
    for kind in (*kinds, in_threes):
        of_kind = [
            o
            for o in outcomes
            if o.simulation.startswith(kind)
            and o.simulation.startswith(in_threes) == (kind == in_threes)
        ]
        for truth in dict.fromkeys(o.truth for o in of_kind):
            for correction in CORRECTIONS:
                rule = f"instrument, corrected: {correction}"
                found = [o for o in of_kind if o.truth == truth and o.rule == rule]
                lines += _matrix_line(found, kind, truth, correction)
    return lines


def _matrix_line(
    found: Sequence[ErrorRates], kind: str, truth: str, correction: str
) -> list[str]:
    if not found:
        return []
    supported = max(found, key=_false_supported)
    refuted = max(found, key=_false_refuted)
    worst = [max(_false_supported(o), _false_refuted(o)) for o in found]
    powers = [o.power for o in found if o.power is not None]
    typical = [o.power for o in found if o.simulation.endswith("normal, typical")]
    span = f"{percent(min(powers))} to {percent(max(powers))}" if powers else ""
    return [
        f"| {kind.replace(' cells', '').rstrip(', ')} | {truth.split()[0]} | "
        f"{correction} | "
        f"{percent(supported.false_supported)} ({supported.simulation[len(kind) :]}) | "
        f"{percent(refuted.false_refuted)} ({refuted.simulation[len(kind) :]}) | "
        f"{sum(share > ALLOWED for share in worst)} of {len(found)} | "
        f"{percent(typical[0] if typical else None)} | {span} |"
    ]


def worst_by_truth(outcomes: Iterable[ErrorRates]) -> list[str]:
    """Write the worst line of each rule and truth, over simulations."""
    groups: dict[tuple[str, str, int], list[ErrorRates]] = {}
    for o in outcomes:
        truth = o.simulation.partition("; ")[0] if "; " in o.simulation else o.truth
        groups.setdefault((o.rule, truth, o.n_sets), []).append(o)
    lines = [
        "| rule | truth | sets | false supported, worst | false refuted, worst | "
        "power, normal typical | power, all simulations |",
        "|---|---|---|---|---|---|---|",
    ]
    for (rule, truth, n_sets), found in groups.items():
        powers = [o.power for o in found if o.power is not None]
        typical = [o.power for o in found if o.simulation.endswith("normal, typical")]
        span = f"{percent(min(powers))} to {percent(max(powers))}" if powers else ""
        lines.append(
            f"| {rule} | {truth} | {n_sets} | {worst_of(found, 'false_supported')} | "
            f"{worst_of(found, 'false_refuted')} | "
            f"{percent(typical[0] if typical else None)} | {span} |"
        )
    return lines


def worst_of(found: Sequence[ErrorRates], error: str) -> str:
    """Write the largest share of an error, and the simulation that has it."""
    known = [o for o in found if getattr(o, error) is not None]
    if not known:
        return ""
    top = max(known, key=lambda o: float(getattr(o, error)))
    name = top.simulation.rpartition("; ")[2]
    return f"{percent(getattr(top, error))} ({name})"


def _false_supported(outcome: ErrorRates) -> float:
    return outcome.false_supported or 0.0


def _false_refuted(outcome: ErrorRates) -> float:
    return outcome.false_refuted or 0.0


def few_table(outcomes: Sequence[ErrorRates]) -> list[str]:
    """Summarise designs with few sets or queries, and say which give a verdict."""
    lines = [
        "| sets × queries | gives a verdict | false supported, worst | false "
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
            f"{percent(top.false_supported)} ({top.simulation}) | {percent(refuted)} |"
        )
    return lines


def interim_table(outcomes: Sequence[ErrorRates]) -> list[str]:
    """Summarise interim analyses over simulations, by the level of each analysis."""
    lines = [
        "| level of each analysis | false supported, worst | false refuted, worst | "
        "power, normal typical | power, all simulations |",
        "|---|---|---|---|---|",
    ]
    for rule, level in LEVELS.items():
        found = [o for o in outcomes if o.rule == rule]
        if not found:
            continue
        top = max(found, key=lambda o: o.false_supported or 0.0)
        refuted = max(o.false_refuted or 0.0 for o in found)
        powers = {o.simulation: o.power for o in found if o.truth == "inside"}
        known = [power for power in powers.values() if power is not None]
        lines.append(
            f"| {100 * level:.2f} % | "
            f"{percent(top.false_supported)} ({top.simulation}) | "
            f"{percent(refuted)} | {percent(powers.get('normal, typical'))} | "
            f"{percent(min(known))} to {percent(max(known))} |"
        )
    return lines
