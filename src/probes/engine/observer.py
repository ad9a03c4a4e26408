"""Make each observation once: take it from memory or the store, or run its learner."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from probes.engine.store import Store
from probes.errors import NumericsError, ProbesError, StoreError
from probes.hashing import digest_of_json
from probes.observations.observation import Observation
from probes.observations.request import LearnerContext, Request
from probes.observations.shared_work import Answer, SharesWork, work_of

if TYPE_CHECKING:
    from probes.models.model_cache import ModelCache

REMEMBERED = 1 << 30  # bytes of observations kept in memory


class Observer:
    """Answers requests, and computes nothing twice.

    Args:
        store: Where observations are kept.
        announce: Called with each request before it is measured.
        report: Called with a request and how far its observation has come.
        models: Models that may already be loaded; None for a cache of its own.
        sharing: Lists the requests of the run that share a work (see ``shared_work``).

    Attributes:
        measured: Keys measured by this process.
        reused: Keys read from the store by this process.
    """

    def __init__(
        self,
        store: Store,
        *,
        announce: Callable[[Request], None] | None = None,
        report: Callable[[Request, str], None] = lambda request, words: None,
        models: ModelCache | None = None,
        sharing: Callable[[Request], Iterable[Request]] = lambda work: (),
    ) -> None:
        self.store, self.sharing, self.report = store, sharing, report
        self.announce = announce or (lambda request: None)
        self.measured: set[str] = set()
        self.reused: set[str] = set()
        self._models = models
        self._failed: dict[str, ProbesError] = {}
        self._memory: OrderedDict[str, Observation] = OrderedDict()
        self._held = 0  # bytes
        self._spent = 0.0  # seconds of measuring
        self._left_out: dict[str, dict[str, None]] = {}

    @property
    def models(self) -> ModelCache:
        """The loaded models; torch is imported when the first is asked for."""
        if self._models is None:
            from probes.models.model_cache import ModelCache

            self._models = ModelCache()
        return self._models

    @property
    def n_forward(self) -> int:
        """Forward passes made by this process."""
        return 0 if self._models is None else self._models.n_forward

    def context(self, request: Request) -> LearnerContext:
        """Return what a learner may use to answer a request."""
        return LearnerContext(
            request=request,
            load=lambda card: self.models.get(card, request.settings),
            answer=self.observe,
            report=lambda words: self.report(request, words),
            leave_out=lambda words: self._leave_out(request, words),
            progress=lambda: self.store.get(progress_key(request)),
            keep=lambda progress: self._keep(request, progress),
        )

    def _keep(self, request: Request, progress: Observation) -> None:
        """Store how far a request has come, until it is answered."""
        facts = {**progress.facts, "request": description_of(request)}
        key = progress_key(request)
        self.store.put(replace(progress, key=key, facts=facts))

    def _leave_out(self, request: Request, words: str) -> None:
        """Keep what the answer to a request does without, for its facts."""
        if words:
            self._left_out.setdefault(request.key, {})[words] = None

    def observe(self, request: Request) -> Observation:
        """Return the observation of a request, and measure it if it is not stored.

        Raises:
            ProbesError: The request cannot be answered; the message says why.
        """
        key = request.key
        if key in self._failed:
            raise self._failed[key]
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        observation = self.store.get(key)
        if observation is None:
            with self.store.locked(key):
                observation = self.store.get(key) or self._try(request)
        if key not in self.measured:
            self.reused.add(key)
        self._remember(observation)
        return observation

    def _try(self, request: Request) -> Observation:
        """Measure, and remember a failure: several claims ask for the same request."""
        try:
            return self._measure(request)
        except StoreError:
            raise
        except ProbesError as error:
            self._failed[request.key] = error
            raise

    def _measure(self, request: Request) -> Observation:
        """Measure a request, with all that shares its work."""
        work = work_of(request)
        if work is None:
            return self._measure_group([request])
        with self.store.locked(digest_of_json(["work", work.key])):
            found = self.store.get(request.key)  # another process may have shared it
            return found or self._measure_group(self._group(request, work))

    def _group(self, request: Request, work: Request) -> list[Request]:
        """List a request, and those not yet measured that share its work."""
        others = {other.key: other for other in self.sharing(work)}
        return [request] + [
            other
            for key, other in others.items()
            if key not in {request.key, *self._failed} and key not in self.store
        ]

    def _measure_group(self, group: Sequence[Request]) -> Observation:
        """Measure requests that share their work, and return the first one's answer."""
        first = group[0]
        self.announce(first)
        if first.learner.needs_model and first.model.answers_text:
            self.models.get(first.model, first.settings)  # loading is not timed
        started, others = time.perf_counter(), self._spent
        answers = self._answers(group)
        seconds = time.perf_counter() - started
        # The time of observations that these asked for is not their own.
        own, self._spent = seconds - (self._spent - others), others + seconds
        times = {"seconds": seconds / len(group), "own_seconds": own / len(group)}
        stored = [
            self._stored(*answered, times)
            for answered in zip(group, answers, strict=True)
        ]
        if isinstance(stored[0], ProbesError):
            raise stored[0]
        return stored[0]

    def _answers(self, group: Sequence[Request]) -> Sequence[Answer]:
        contexts, learner = list(map(self.context, group)), group[0].learner
        if isinstance(learner, SharesWork) and len(group) > 1:
            return learner.observe_together(contexts)
        return [learner.observe(contexts[0])]

    def _stored(
        self, request: Request, answer: Answer, times: Mapping[str, float]
    ) -> Answer:
        """Check and store an answer; note an error for its request."""
        if not isinstance(answer, ProbesError):
            answer = _checked(answer, request)
        if isinstance(answer, ProbesError):
            self._failed[request.key] = answer
            return answer
        facts = {
            **answer.facts,
            **times,
            "kind": request.kind,  # plans estimate times from it
            "request": description_of(request),  # listings show it
            "n_sets": request.n_sets,
            **self._speed(request, answer),
        }
        if left_out := self._left_out.pop(request.key, None):
            facts["left_out"] = list(left_out)
        observation = replace(answer, key=request.key, facts=facts)
        self.store.put(observation)
        self.store.remove(progress_key(request))
        self.measured.add(request.key)
        self._remember(observation)
        return observation

    def _speed(self, request: Request, answered: Observation) -> dict[str, float]:
        """Return the FLOPs of an observation and the peak of its device, if counted."""
        if not request.model.answers_text:
            return {}
        from probes.engine.cost_model import flops_of
        from probes.engine.matmul_peak import matmul_peak

        flops = flops_of(request, answered.facts)
        if flops is None:
            return {}
        settings = request.settings
        return {"flops": flops, "peak": matmul_peak(settings.device, settings.dtype)}

    def _remember(self, observation: Observation) -> None:
        """Keep what was used last, up to ``REMEMBERED`` bytes."""
        earlier = self._memory.pop(observation.key, None)
        self._memory[observation.key] = observation
        self._held += _n_bytes(observation) - (_n_bytes(earlier) if earlier else 0)
        while self._held > REMEMBERED and len(self._memory) > 1:
            self._held -= _n_bytes(self._memory.popitem(last=False)[1])


def description_of(request: Request) -> dict[str, str | int]:
    """Describe a request for readers of a store; the key says what it is exactly."""
    learner = request.learner
    words = [v for v in vars(learner).values() if isinstance(v, str)]
    views = {
        "order": request.order,
        "draw": request.draw,
        "labels": "" if request.labels == "gold" else request.labels,
        "wording": "" if request.wording == "own" else request.wording,
        "queries": "" if request.queries == "verdict" else request.queries,
        "shown": "" if request.shown == "all" else request.shown,
    }
    return {
        "learner": " ".join([type(learner).__name__, *words]),
        "model": request.model.name,
        "dataset": request.dataset.name,
        "demonstrations": request.n_demonstrations,
        "view": " ".join(f"{name} {value}" for name, value in views.items() if value),
    }


def progress_key(request: Request) -> str:
    """Name what is stored of a request that is not answered yet."""
    return digest_of_json(["progress", request.key])


def _n_bytes(observation: Observation) -> int:
    return sum(array.nbytes for array in observation.arrays.values())


def _checked(answer: Observation, request: Request) -> Answer:
    """Refuse an observation that is not finite."""
    for name, array in answer.arrays.items():
        if not np.isfinite(array).all():
            return NumericsError(
                f"{type(request.learner).__name__} on {request.model.name} answered "
                f"{int((~np.isfinite(array)).sum())} NaN or infinite {name}. Expected "
                f"finite numbers. Pass smaller rates or --dtype float32."
            )
    return answer
