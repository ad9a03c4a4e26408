"""What a run would measure, and how long that takes.

Nothing is measured here, and no model is loaded. The plan follows from the requests of
the claims and from the store.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from probes.engine.cost_model import Cost, CostRange, cost_of, cost_of_one
from probes.engine.machine_speed import MachineSpeed
from probes.engine.progress import duration
from probes.engine.store import Store
from probes.engine.store_inventory import list_observations
from probes.errors import ProbesError
from probes.observations.learner_cost import NeedsOthers
from probes.observations.request import Request
from probes.verdicts.group_sequential import GroupSequentialDesign
from probes.verdicts.thresholds import ALPHA

LESS = 0.9
"""The share of a time below which another one is named beside it."""
MOST_READ = 4000
"""Entries of the store from which times are read; this takes a second."""


def content_key(request: Request) -> str | None:
    """Return the key of a request; None if it cannot be computed."""
    try:
        return request.key
    except (ProbesError, OSError):  # the request's own cell reports it
        return None


@dataclass(frozen=True, kw_only=True)
class Work:
    """The observations of one model.

    Attributes:
        stored: Number already measured.
        missing: Number still to be measured.
        seconds: Estimated time for the missing ones whose kind is in the store.
        unknown: Number of missing ones whose kind is not in the store.
        cost: Cost of the missing ones, from tokens and parameters.
        unknown_cost: Cost of the missing ones whose kind is not in the store.
    """

    stored: int
    missing: int
    seconds: float
    unknown: int
    cost: CostRange
    unknown_cost: Cost

    def estimate(self, speed: MachineSpeed, *, n_workers: int = 1) -> float:
        """Estimate the time: from the store where it knows, else from the speed."""
        rest = speed.seconds(self.unknown_cost, n_workers=n_workers)
        return self.seconds / n_workers + rest


class Estimator:
    """Estimates how long single observations take.

    The estimate is the mean time for one set of stored observations of the same kind.
    These have the same learner, model, dataset and numbers of demonstrations and
    queries; the seed, the number of sets and the version of the code may differ. If
    there are none, the cost counted from tokens is divided by the machine's speed.

    Args:
        store: The store.
        key_of: Gives the key of a request; None if it cannot be computed.
    """

    def __init__(
        self, store: Store, key_of: Callable[[Request], str | None] = content_key
    ) -> None:
        self.store, self.key_of = store, key_of
        self.known = times_by_kind(store)
        self._stored: dict[str, bool] = {}

    def is_stored(self, key: str) -> bool:
        """Say whether an observation was stored when it was asked for first."""
        return self._stored.setdefault(key, key in self.store)

    def missing(self, request: Request) -> Iterator[tuple[str, Request]]:
        """Yield what must be measured for a request, by key; maybe not only once."""
        key = self.key_of(request)
        if key is None or self.is_stored(key):
            return
        yield key, request
        if isinstance(request.learner, NeedsOthers):
            for other in request.learner.needed(request):
                yield from self.missing(other)

    def stored_seconds(self, request: Request) -> float | None:
        """Estimate a time from the store; None where nothing similar is stored."""
        each = self.known.get(request.kind)
        return None if each is None else each * request.n_sets

    def seconds(
        self, request: Request, speed: MachineSpeed, *, n_workers: int = 1
    ) -> float:
        """Estimate by how much an observation lengthens a run, without what it needs.

        Args:
            request: The request.
            speed: The machine's.
            n_workers: Processes that share the work.
        """
        known = self.stored_seconds(request)
        if known is not None:
            return known / n_workers
        return speed.seconds(cost_of_one(request).foreseen, n_workers=n_workers)


def plan_work(requests: Iterable[Request], estimator: Estimator) -> dict[str, Work]:
    """Count the observations of every model, each once, and estimate their time.

    Args:
        requests: What cells ask for. What these need is added, such as the choice of a
            rate; learners that share a choice share its cost.
        estimator: Estimates single observations.
    """
    requests = list(requests)
    stored: dict[str, set[str]] = defaultdict(set)
    for request in requests:
        key = estimator.key_of(request)
        if key is not None and estimator.is_stored(key):
            stored[request.model.name].add(key)
    missing = missing_by_model(requests, estimator)
    return {
        model: _work(
            len(stored[model]), list(missing.get(model, {}).values()), estimator
        )
        for model in {**stored, **missing}
    }


def missing_by_model(
    requests: Iterable[Request], estimator: Estimator
) -> dict[str, dict[str, Request]]:
    """Gather what must be measured, with what is needed besides: by model and key."""
    missing: dict[str, dict[str, Request]] = defaultdict(dict)
    for request in requests:
        for key, needed in estimator.missing(request):
            missing[needed.model.name][key] = needed
    return dict(missing)


def _work(n_stored: int, missing: list[Request], estimator: Estimator) -> Work:
    times = [estimator.stored_seconds(request) for request in missing]
    unknown = [r for r, t in zip(missing, times, strict=True) if t is None]
    return Work(
        stored=n_stored,
        missing=len(missing),
        seconds=sum(time for time in times if time is not None),
        unknown=len(unknown),
        cost=cost_of(missing),
        unknown_cost=cost_of(unknown).foreseen,
    )


def times_by_kind(store: Store) -> dict[str, float]:
    """Average the seconds for one set, by kind, over what was stored last."""
    known: dict[str, list[float]] = defaultdict(list)
    for entry in list_observations(store)[-MOST_READ:]:
        facts = store.facts(entry.key)
        if {"kind", "own_seconds", "n_sets"} <= facts.keys():
            known[facts["kind"]].append(facts["own_seconds"] / facts["n_sets"])
    return {kind: fmean(seconds) for kind, seconds in known.items()}


def work_lines(
    n_cells: int,
    work: Mapping[str, Work],
    least: Mapping[str, Work],
    speed: MachineSpeed,
    *,
    n_workers: int,
) -> list[str]:
    """Write the plan as a table.

    Args:
        n_cells: Cells of the run.
        work: The work of each model.
        least: The part of it that is done even if no model learns in context.
        speed: The machine's.
        n_workers: As many as ``-n auto`` starts.
    """
    stored, missing = (
        sum(getattr(w, field) for w in work.values()) for field in ("stored", "missing")
    )
    lines = [
        f"{n_cells} cells need {stored + missing} observations: {stored} stored, "
        f"{missing} to measure, on {len(work)} models. Nothing was measured.",
        f"{'model':<40}{'stored':>8}{'to measure':>12}  time, one worker",
    ]
    for model, part in sorted(work.items()):
        time = _time_of(part, speed)
        if time and (at_least := _less(part, least.get(model), speed)):
            time += f", {at_least}"
        lines.append(f"{model:<40}{part.stored:>8}{part.missing:>12}  {time}")
    if missing:
        alone, together = (
            sum(w.estimate(speed, n_workers=n) for w in work.values())
            for n in (1, n_workers)
        )
        all_workers = f", and {duration(together)} with -n auto ({n_workers} workers)"
        lines.append(
            f"In all about {duration(alone)} with one worker"
            f"{all_workers if n_workers > 1 else ''}."
        )
        if any("at least" in line for line in lines):
            seconds = sum(w.estimate(speed) for w in least.values())
            lines.append(
                f"Where demonstrations teach a model nothing, claims that need ICL "
                f"measure nothing more. If that is so everywhere, the run takes at "
                f"least {duration(seconds)} with one worker."
            )
    costs = [f"  {model}: {_cost_text(w)}" for model, w in sorted(work.items())]
    known = [text for text in costs if not text.endswith(": ")]
    if known:
        lines += ["Counted from tokens and parameters:", *known]
    return lines


def _less(part: Work, least: Work | None, speed: MachineSpeed) -> str:
    """Write the least time of a model, if it is clearly less than the whole."""
    seconds = 0.0 if least is None else least.estimate(speed)
    is_less = seconds < LESS * part.estimate(speed)
    return f"at least {duration(seconds)}" if is_less else ""


def _time_of(part: Work, speed: MachineSpeed) -> str:
    if not part.missing:
        return ""
    n_known = part.missing - part.unknown
    texts = []
    if n_known:
        similar = f"{duration(part.seconds)} for {n_known} (from similar ones)"
        texts.append(similar)
    if part.unknown:
        counted = duration(speed.seconds(part.unknown_cost))
        texts.append(f"{counted} for {part.unknown} (from the machine's speed)")
    return "about " + " and ".join(texts)


def _cost_text(part: Work) -> str:
    cost = part.cost.foreseen
    if not cost.flops:
        return ""
    rest = f"; {cost.unknown} observations not counted" if cost.unknown else ""
    return (
        f"about {cost.read:.2g} tokens read, {cost.learned:.2g} learned from, "
        f"{cost.flops:.2g} FLOPs (at most {part.cost.limit.flops:.2g}), "
        f"{cost.moved:.2g} bytes of weights moved{rest}"
    )


def look_lines(looks: GroupSequentialDesign | None) -> list[str]:
    """Say at which numbers of sets a run looks again at inconclusive cells."""
    if looks is None:
        return []
    later = ", ".join(map(str, looks.sizes[1:]))
    return [
        f"This plan is for the first look. The run measures inconclusive cells again "
        f"at {later} sets, each time in full, and judges every look at level "
        f"{looks.nominal_level(ALPHA):.4f}."
    ]
