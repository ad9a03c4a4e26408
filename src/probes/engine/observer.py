"""Makes observations, each once: from memory, the store, or by running a learner."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from probes.engine.store import Store
from probes.errors import NumericsError, ProbesError, StoreError
from probes.observations.observation import Observation
from probes.observations.request import LearnerContext, Request

if TYPE_CHECKING:
    from probes.models.model_cache import ModelPool

REMEMBERED = 1 << 30  # bytes of observations kept in memory


class Observer:
    """Answers requests, computing nothing twice.

    Args:
        store: Where observations are kept.
        announce: Called with each request that is about to be measured.
        pool: Models that may be loaded already; None for a pool of its own.

    Attributes:
        measured: Keys measured by this process.
        reused: Keys read from the store by this process.
    """

    def __init__(
        self,
        store: Store,
        *,
        announce: Callable[[Request], None] | None = None,
        pool: ModelPool | None = None,
    ) -> None:
        self.store = store
        self.announce = announce or (lambda request: None)
        self.measured: set[str] = set()
        self.reused: set[str] = set()
        self._pool = pool
        self._failed: dict[str, ProbesError] = {}
        self._memory: OrderedDict[str, Observation] = OrderedDict()
        self._held = 0  # bytes
        self._spent = 0.0  # seconds of measuring

    @property
    def pool(self) -> ModelPool:
        """The loaded models; torch is imported when the first is asked for."""
        if self._pool is None:
            from probes.models.model_cache import ModelPool

            self._pool = ModelPool()
        return self._pool

    @property
    def n_forward(self) -> int:
        """Forward passes made by this process."""
        return 0 if self._pool is None else self._pool.n_forward

    def context(self, request: Request) -> LearnerContext:
        """Give a learner what it may use to answer a request."""
        return LearnerContext(
            request=request,
            load=lambda card: self.pool.get(card, request.settings),
            answer=self.observe,
        )

    def observe(self, request: Request) -> Observation:
        """Return the observation of a request, measuring it if nobody has yet.

        Raises:
            ProbesError: The request cannot be answered; the message says why.
        """
        key = request.key
        if key in self._failed:
            raise self._failed[key]
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        found = self.store.get(key)
        if found is None:
            with self.store.only_one(key):
                found = self.store.get(key) or self._try(request)
        if key not in self.measured:
            self.reused.add(key)
        self._remember(found)
        return found

    def _try(self, request: Request) -> Observation:
        """Measure, and remember what cannot be measured: ten claims ask for it."""
        try:
            return self._measure(request)
        except StoreError:
            raise
        except ProbesError as error:
            self._failed[request.key] = error
            raise

    def _measure(self, request: Request) -> Observation:
        self.announce(request)
        if request.learner.needs_model and request.model.answers_text:
            self.pool.get(request.model, request.settings)  # loading is timed apart
        started, others = time.perf_counter(), self._spent
        answered = request.learner.observe(self.context(request))
        _require_finite(answered, request)
        seconds = time.perf_counter() - started
        # Observations that this one asked for are not its own work.
        own, self._spent = seconds - (self._spent - others), others + seconds
        speed = self._speed(request, answered)
        observation = replace(
            answered,
            key=request.key,
            facts={
                **answered.facts,
                "seconds": seconds,
                "kind": request.kind,  # what a plan estimates times from
                "n_sets": request.settings.n_sets,
                "own_seconds": own,
                **speed,
            },
        )
        self.store.put(observation)
        self.measured.add(request.key)
        return observation

    def _speed(self, request: Request, answered: Observation) -> dict[str, float]:
        """Tell the operations of an observation, and this device's most a second."""
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
        earlier = self._memory.pop(observation.key, None)
        self._memory[observation.key] = observation
        self._held += _n_bytes(observation) - (_n_bytes(earlier) if earlier else 0)
        while self._held > REMEMBERED and len(self._memory) > 1:
            self._held -= _n_bytes(self._memory.popitem(last=False)[1])


def _n_bytes(observation: Observation) -> int:
    return sum(array.nbytes for array in observation.arrays.values())


def _require_finite(observation: Observation, request: Request) -> None:
    for name, array in observation.arrays.items():
        if not np.isfinite(array).all():
            raise NumericsError(
                f"{type(request.learner).__name__} on {request.model.name} answered "
                f"{int((~np.isfinite(array)).sum())} NaN or infinite {name}. Expected "
                f"finite numbers. Pass smaller rates or --dtype float32."
            )
