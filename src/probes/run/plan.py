"""What a run would measure, and how long that takes.

Nothing is measured here, and no model is loaded. The plan follows from the requests of
the claims and from the store.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from probes.engine.cost_model import Cost, cost_of
from probes.engine.progress import duration
from probes.engine.store import Store
from probes.engine.store_inventory import list_observations
from probes.observations.request import Request
from probes.verdicts.group_sequential import GroupSequentialDesign
from probes.verdicts.thresholds import ALPHA

MOST_READ = 4000
"""Entries of the store from which times are read; this takes a second."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """The observations of one model.

    Attributes:
        stored: Number already measured.
        missing: Number still to be measured.
        seconds: Estimated time for the missing ones whose kind is in the store.
        unknown: Number of missing ones whose kind is not in the store.
        cost: Cost of the missing ones, from tokens and parameters.
    """

    stored: int
    missing: int
    seconds: float
    unknown: int
    cost: Cost


def plan_work(requests: Iterable[Request], store: Store) -> dict[str, Work]:
    """Count the observations of every model, each once, and estimate their time.

    The estimate is the mean time for one set of stored observations of the same kind.
    These have the same learner, model, dataset and numbers of demonstrations and
    queries; the seed, the number of sets and the version of the code may differ.
    """
    distinct = {request.key: request for request in requests}
    known = times_by_kind(store)
    by_model: dict[str, list[Request]] = defaultdict(list)
    for request in distinct.values():
        by_model[request.model.name].append(request)
    work = {}
    for model, own in by_model.items():
        missing = [r for r in own if r.key not in store]
        times = [known[r.kind] * r.settings.n_sets for r in missing if r.kind in known]
        work[model] = Work(
            stored=len(own) - len(missing),
            missing=len(missing),
            seconds=sum(times),
            unknown=len(missing) - len(times),
            cost=cost_of(missing),
        )
    return work


def times_by_kind(store: Store) -> dict[str, float]:
    """Average the seconds for one set, by kind, over what was stored last."""
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
        return "unknown: nothing similar is stored"
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


def look_lines(looks: GroupSequentialDesign | None) -> list[str]:
    """Say at which numbers of sets a run looks again at undecided cells."""
    if looks is None:
        return []
    later = ", ".join(map(str, looks.sizes[1:]))
    return [
        f"This plan is for the first look. The run measures undecided cells again at "
        f"{later} sets, each time in full, and judges every look at level "
        f"{looks.nominal_level(ALPHA):.4f}."
    ]
