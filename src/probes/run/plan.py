"""What a run would measure, how long that takes, and which cells it can decide.

Nothing is measured here, and no model is loaded: the plan is read off the requests that
claims make, the store, and the rows of an earlier run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median_high
from typing import Any

from probes.cell import Settings
from probes.engine.cost_model import Cost, cost_of
from probes.engine.progress import duration
from probes.engine.store import Store
from probes.engine.store_inventory import list_observations
from probes.observations.request import Request
from probes.results.rows import row_id
from probes.verdicts.crossed_means import Components
from probes.verdicts.group_sequential import Looks
from probes.verdicts.power import sets_needed, sets_needed_within
from probes.verdicts.thresholds import ALPHA, FEW_SETS, LEAST_SETS, POWER

MOST_NAMED = 10
MOST_READ = 4000
"""Entries of the store that times are read from: a second's worth."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """The observations of one model.

    Attributes:
        stored: Already measured.
        missing: To be measured.
        seconds: Estimated for those of the missing whose kind is known.
        unknown: The missing of whose kind nothing was measured yet.
        cost: Of the missing, counted from tokens and parameters.
    """

    stored: int
    missing: int
    seconds: float
    unknown: int
    cost: Cost


def plan_work(requests: Iterable[Request], store: Store) -> dict[str, Work]:
    """Count the observations of every model, each once, and estimate their time.

    The estimate is the mean time for a set of what is stored of the same kind: the same
    learner on the same model, dataset, and numbers of demonstrations and queries,
    whatever the seed, the sets and the version of the code.
    """
    distinct = {request.key: request for request in requests}
    known = times_by_kind(store)
    by_model: dict[str, list[Request]] = defaultdict(list)
    for request in distinct.values():
        by_model[request.model.name].append(request)
    found = {}
    for model, own in by_model.items():
        missing = [r for r in own if r.key not in store]
        told = [known[r.kind] * r.settings.n_sets for r in missing if r.kind in known]
        found[model] = Work(
            stored=len(own) - len(missing),
            missing=len(missing),
            seconds=sum(told),
            unknown=len(missing) - len(told),
            cost=cost_of(missing),
        )
    return found


def times_by_kind(store: Store) -> dict[str, float]:
    """Average the seconds for each set of what was stored last, by kind."""
    known: dict[str, list[float]] = defaultdict(list)
    for entry in list_observations(store)[-MOST_READ:]:
        facts = store.facts(entry.key)
        if {"kind", "seconds", "n_sets"} <= facts.keys():
            known[facts["kind"]].append(facts["seconds"] / facts["n_sets"])
    return {kind: fmean(seconds) for kind, seconds in known.items()}


def work_lines(n_cells: int, work: Mapping[str, Work]) -> list[str]:
    """Write the plan as a table."""
    stored, missing = (
        sum(getattr(w, field) for w in work.values()) for field in ("stored", "missing")
    )
    lines = [
        f"{n_cells} cells need {stored + missing} observations: {stored} stored, "
        f"{missing} to measure, on {len(work)} models. Nothing was measured.",
        f"{'model':<32}{'stored':>8}{'to measure':>12}  time, one worker",
    ]
    for model, part in sorted(work.items()):
        lines.append(f"{model:<32}{part.stored:>8}{part.missing:>12}  {_time_of(part)}")
    costs = [f"  {model}: {_cost_text(w)}" for model, w in sorted(work.items())]
    known = [text for text in costs if not text.endswith(": ")]
    if known:
        lines += ["At most, counted from tokens and parameters:", *known]
    return lines


def _time_of(part: Work) -> str:
    known = part.missing - part.unknown
    if not part.missing:
        return ""
    if not known:
        return "unknown: nothing like it is stored"
    rest = f", {part.unknown} unknown" if part.unknown else ""
    return f"about {duration(part.seconds)} for {known}{rest}"


def _cost_text(part: Work) -> str:
    cost = part.cost
    if not cost.flops:
        return ""
    rest = f"; {cost.unknown} observations not counted" if cost.unknown else ""
    return (
        f"{cost.read:.2g} tokens read, {cost.learned:.2g} learned from, "
        f"{cost.flops:.2g} FLOPs, {cost.moved:.2g} bytes of weights moved{rest}"
    )


def power_lines(
    rows: Iterable[Mapping[str, Any]],
    *,
    cells: Collection[str],
    settings: Settings,
) -> list[str]:
    """Say for each claim how many sets give power .8, from an earlier run's variances.

    The true effect is taken to be in the middle of the margin: no difference, or the
    ceiling itself. Cells that fall short even then cannot be decided at this size.

    Args:
        rows: Rows of a run.
        cells: Names of the planned cells; others are left out.
        settings: Sizes of the run that is planned.
    """
    n_sets, n_queries = settings.n_sets, settings.n_queries
    needs: dict[str, list[int | None]] = defaultdict(list)
    short = []
    for row in (row for row in rows if row_id(row) in cells):
        effect = row["effects"][0] if row["effects"] else {}
        if not effect.get("components") or not effect.get("margin"):
            continue
        needed = needed_sets(effect, n_queries)
        needs[row["claim"].partition("[")[0]].append(needed)
        if needed is None or n_sets < max(needed, FEW_SETS):
            short.append(_named(row, needed))
    known = sum(map(len, needs.values()))
    if not known:
        return [
            "No earlier run tells variances of these cells: power cannot be planned "
            f"yet. A run with --sets {LEAST_SETS} is enough of a pilot."
        ]
    return [
        f"Sets for power {POWER:g} at {n_queries} queries, the truth being in the "
        f"middle of the margin; the correction over the matrix asks for more. "
        f"Variances are known of {known} of {len(cells)} cells.",
        f"{'claim':<44}{'cells':>6}{'median':>8}{'most':>10}",
        *(_claim_line(claim, found) for claim, found in sorted(needs.items())),
        f"With {n_sets} sets even a true claim is likely to stay undecided in "
        f"{len(short)} cells",
        *(f"  {name}" for name in short[:MOST_NAMED]),
        *([f"  and {len(short) - MOST_NAMED} more"] if short[MOST_NAMED:] else []),
    ]


def needed_sets(effect: Mapping[str, Any], n_queries: int) -> int | None:
    """Count the sets for power .8 when the truth is in the middle of the margin.

    Args:
        effect: A row's first, with its margin and its components.
        n_queries: Queries of each set.
    """
    sizes: dict[str, Any] = {"n_queries": n_queries, "alpha": ALPHA, "wanted": POWER}
    parts = Components(**effect["components"])
    if effect.get("has_two_sides"):
        return sets_needed_within(parts, effect=0.0, margin=effect["margin"], **sizes)
    return sets_needed(parts, gap=effect["margin"], **sizes)


def _claim_line(claim: str, needed: Sequence[int | None]) -> str:
    known = sorted(max(n, FEW_SETS) for n in needed if n is not None)
    middle = str(median_high(known)) if known else ""
    most = "no number" if None in needed else str(known[-1])
    return f"{claim:<44}{len(needed):>6}{middle:>8}{most:>10}"


def _named(row: Mapping[str, Any], needed: int | None) -> str:
    where = " · ".join(str(row[k]) for k in ("claim", "model", "dataset"))
    told = "no number of sets decides, more queries do"
    if needed is not None:
        told = f"needs {max(needed, FEW_SETS)} sets"
    return f"{where} · {row['n_demonstrations']} demonstrations: {told}"


def look_lines(looks: Looks | None) -> list[str]:
    """Say at which sizes a run looks again, and that the plan is of the first."""
    if looks is None:
        return []
    later = ", ".join(map(str, looks.sizes[1:]))
    return [
        f"This is the first look. Cells that stay undecided are measured again at "
        f"{later} sets, each time in full; every look is judged at level "
        f"{looks.nominal(ALPHA):.4f}."
    ]
