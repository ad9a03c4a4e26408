"""The results of the study of groups, as a table in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from probes.calibration.nested_groups import JUDGED, N_GROUPS, N_SETS, rule_name
from probes.calibration.study import ErrorRates
from probes.calibration.tables import percent, worst_of
from probes.verdicts.thresholds import LEAST_SETS

TYPICAL = "normal, typical, groups are 0.6 of sets"


def groups_table(outcomes: Sequence[ErrorRates]) -> list[str]:
    """Summarise each rule and population over simulations, by groups and sets."""
    lines = [
        "| verdict speaks of | units | groups | sets | gives a verdict | false "
        "supported, worst | false refuted, worst | power, normal typical | power, all "
        "simulations |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (units, population), n_groups, n_sets in product(JUDGED, N_GROUPS, N_SETS):
        rule, kind = rule_name(units, population), f"{n_groups} groups; "
        found = [
            o
            for o in outcomes
            if o.rule == rule and o.n_sets == n_sets and o.simulation.startswith(kind)
        ]
        if not found:
            continue
        powers = {o.simulation: o.power for o in found if o.truth == "inside"}
        known = [power for power in powers.values() if power is not None]
        n_units = min(n_groups, n_sets) if units.startswith("groups") else n_sets
        lines.append(
            f"| {population} | {units.partition(' ')[0]} | {n_groups} | {n_sets} | "
            f"{'yes' if n_units >= LEAST_SETS else 'no'} | "
            f"{worst_of(found, 'false_supported')} | "
            f"{worst_of(found, 'false_refuted')} | "
            f"{percent(powers.get(kind + TYPICAL))} | "
            f"{percent(min(known))} to {percent(max(known))} |"
        )
    return lines
