"""What a run would measure, how long that takes, and which cells it can decide.

Nothing is measured here, and no model is loaded: the plan is read off the requests that
claims make, the store, and the rows of an earlier run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median_high
from typing import Any

from probes.engine.store import Store
from probes.power import power, sets_needed
from probes.request import Request
from probes.statistics import Components
from probes.verdict import ALPHA, FEW_SETS, POWER

MOST_NAMED = 10


@dataclass(frozen=True, kw_only=True)
class Work:
    """The observations of one model.

    Attributes:
        stored: Already measured.
        missing: To be measured.
        seconds: Estimated for those of the missing whose kind is known.
        unknown: The missing of whose learner and model nothing was measured yet.
    """

    stored: int
    missing: int
    seconds: float
    unknown: int


def plan_work(requests: Iterable[Request], store: Store) -> dict[str, Work]:
    """Count the observations of every model, each once, and estimate their time.

    The estimate is the mean time of the stored observations of the same learner, model
    and number of demonstrations in this plan.
    """
    distinct = {request.key: request for request in requests}
    seconds = {key: store.seconds(key) for key in distinct if key in store}
    known: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for key, spent in seconds.items():
        known[_kind(distinct[key])].append(spent)
    by_model: dict[str, list[Request]] = defaultdict(list)
    for request in distinct.values():
        by_model[request.model.name].append(request)
    found = {}
    for model, own in by_model.items():
        missing = [r for r in own if r.key not in seconds]
        told = [fmean(known[_kind(r)]) for r in missing if _kind(r) in known]
        found[model] = Work(
            stored=len(own) - len(missing),
            missing=len(missing),
            seconds=sum(told),
            unknown=len(missing) - len(told),
        )
    return found


def _kind(request: Request) -> tuple[str, str, int]:
    learner = type(request.learner).__name__
    return learner, request.model.name, request.n_demonstrations


def work_lines(n_cells: int, work: Mapping[str, Work]) -> list[str]:
    """Write the plan as a table."""
    stored, missing = (
        sum(getattr(w, field) for w in work.values()) for field in ("stored", "missing")
    )
    lines = [
        f"{n_cells} cells need {stored + missing} observations: {stored} stored, "
        f"{missing} to measure, on {len(work)} models. Nothing was measured.",
        f"{'model':<32}{'stored':>8}{'to measure':>12}  estimate",
    ]
    for model, part in sorted(work.items()):
        known = part.missing - part.unknown
        estimate = f"{part.seconds:.0f} s for {known} of them" if known else ""
        if part.unknown and not known:
            estimate = "unknown: nothing like it is stored"
        lines.append(f"{model:<32}{part.stored:>8}{part.missing:>12}  {estimate}")
    return lines


def power_lines(
    rows: Sequence[Mapping[str, Any]], *, n_sets: int, n_queries: int
) -> list[str]:
    """Say for each claim how many sets give power .8, from an earlier run's variances.

    The true effect is taken to be in the middle of the margin: no difference, or the
    ceiling itself. Cells that fall short even then cannot be decided at this size.

    Args:
        rows: Rows of a run.
        n_sets: Demonstration sets of the run that is planned.
        n_queries: Its queries.
    """
    needs: dict[str, list[int | None]] = defaultdict(list)
    short = []
    for row in rows:
        effect = row["effects"][0] if row["effects"] else {}
        if not effect.get("components") or not effect.get("margin"):
            continue
        parts = Components(**effect["components"])
        sizes = {"gap": effect["margin"], "n_queries": n_queries, "alpha": ALPHA}
        needed = sets_needed(parts, wanted=POWER, **sizes)
        needs[row["claim"].partition("[")[0]].append(needed)
        if n_sets < 2 or power(parts, n_sets=n_sets, **sizes) < POWER:
            short.append(_named(row, needed))
    if not needs:
        return ["No earlier run tells variances: power cannot be planned yet."]
    lines = [
        f"Sets for power {POWER:g} at {n_queries} queries, the truth being in the "
        f"middle of the margin; the correction over the matrix asks for more.",
        f"{'claim':<44}{'cells':>6}{'median':>8}{'most':>10}",
    ]
    lines += [_claim_line(claim, found) for claim, found in sorted(needs.items())]
    lines.append(
        f"With {n_sets} sets even a true claim is likely to stay undecided in "
        f"{len(short)} cells"
    )
    lines += [f"  {name}" for name in short[:MOST_NAMED]]
    if len(short) > MOST_NAMED:
        lines.append(f"  and {len(short) - MOST_NAMED} more")
    return lines


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
