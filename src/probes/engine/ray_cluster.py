"""``--engine ray``: the actors of a Ray cluster measure the plan.

Each actor keeps the model that it loaded. If an actor dies, alone or with its node, Ray
restarts it where there is room, and its requests go to any free actor. Ray is an
optional extra. Its own transport trusts every machine of the cluster.
"""

from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from probes.engine.local_pool import LOG_TAIL, MOST_DEATHS
from probes.engine.protocol import RequestResult, given_up
from probes.engine.request_json import request_to_json
from probes.engine.requests_by_work import RequestsByWork
from probes.engine.work_queue import (
    WorkQueue,
    in_plan_order,
    model_bytes_by_group,
    model_group,
)
from probes.engine.worker import Worker, WorkerSettings
from probes.errors import EngineError
from probes.observations.request import Request

REQUESTS_AHEAD = 2
"""Requests that an actor holds, so that the next is there when one is finished."""
LONGEST_START = 120.0  # seconds without any actor that is up or working


class RayWorker:
    """The code of an actor: a worker that takes and returns plain values."""

    def __init__(self, settings: str) -> None:
        self.worker = Worker(WorkerSettings.from_json(settings))

    def ready(self) -> bool:
        """Return at all, which a new or restarted actor does once it is up."""
        return True

    def measure(
        self, text: str, key: str, others: Sequence[str]
    ) -> tuple[str, list[bytes]]:
        """Measure one request, and others if they share its work."""
        return self.worker.measure(text, key, others).to_frame()


class RayCluster:
    """Measures a plan in the actors of a cluster.

    Args:
        address: As ``ray.init`` takes it. None joins the cluster of this machine, or
            starts one that lives as long as this process.
        settings: What each worker must know.
        device: Where models run; on "cuda", each actor holds one GPU.
        announce: Called with each request that is sent to an actor.

    Raises:
        EngineError: Ray is not installed, or no cluster is at the address.
    """

    def __init__(
        self,
        address: str | None,
        *,
        settings: WorkerSettings,
        device: str = "cpu",
        announce: Callable[[Request], None] | None = None,
    ) -> None:
        self.ray = _joined(address)
        self.announce = announce or (lambda request: None)
        kind = "CPU" if device == "cpu" else "GPU"
        nodes = [node for node in self.ray.nodes() if node["Alive"]]
        sizes = [int(node["Resources"].get(kind, 0)) for node in nodes]
        each = max(sizes, default=0) if device == "auto" else 1
        self.n_workers = sum(size // each for size in sizes) if each else 0
        if not self.n_workers:
            raise EngineError(
                f"The Ray cluster has no {kind}. Expected one for each actor of a run "
                f"on {device}. Add nodes, or pass another --device."
            )
        resources: dict[str, Any] = {f"num_{kind.lower()}s": each}
        self._actor = self.ray.remote(max_restarts=-1, **resources)(RayWorker)
        self.actors: list[Any] = []
        self.n_deaths = 0
        self._settings = settings.to_json()

    def measure(self, requests: Sequence[Request]) -> Iterator[RequestResult]:
        """Measure every request once, and give the results as they come.

        Raises:
            EngineError: No actor starts.
        """
        plan = in_plan_order(requests)
        sizes = model_bytes_by_group({request.model for request in plan})
        work = WorkQueue(plan, model_group, sizes=sizes)
        n_more = min(self.n_workers, len(work)) - len(self.actors)
        self.actors += [self._actor.remote(self._settings) for _ in range(n_more)]
        yield from _PlanOnActors(self, work, RequestsByWork(lambda: plan)).results()

    def close(self) -> None:
        """Kill the actors, and leave the cluster as it is."""
        for actor in self.actors:
            self.ray.kill(actor)
        self.ray.shutdown()


class _PlanOnActors:
    """One plan while the actors work on it."""

    def __init__(
        self, cluster: RayCluster, work: WorkQueue[Request], sharing: RequestsByWork
    ) -> None:
        self.cluster, self.ray, self.work = cluster, cluster.ray, work
        self.sharing = sharing
        self.n_left = len(work)
        self.running: dict[Any, tuple[Any, Request]] = {}  # the oldest first
        self.starting: dict[Any, Any] = {}
        self.deaths: Counter[str] = Counter()

    def results(self) -> Iterator[RequestResult]:
        """Send requests and wait for results, until all are measured."""
        for actor in self.cluster.actors:
            self._await_start(actor)
        while self.n_left:
            done = self._wait()
            for reference in [ref for ref in self.starting if ref in done]:
                self._started(reference)
            for reference in [ref for ref in self.running if ref in done]:
                if (result := self._finished(reference)) is not None:
                    self.n_left -= 1
                    yield result
            for actor in self.cluster.actors:
                if actor not in self.starting.values():
                    self._feed(actor)

    def _wait(self) -> set[Any]:
        pending = [*self.running, *self.starting]
        limit = None if self.running else LONGEST_START
        done, _ = self.ray.wait(pending, num_returns=1, timeout=limit)
        if not done:
            raise EngineError(
                f"No Ray actor started in {LONGEST_START:g} s. Expected room for one; "
                f"{self.ray.available_resources()} is free. Stop what uses the "
                f"cluster, or add nodes."
            )
        return set(self.ray.wait(pending, num_returns=len(pending), timeout=0)[0])

    def _await_start(self, actor: Any) -> None:
        """Ask an actor to reply once it is up, which may never happen."""
        self.starting[actor.ready.options(max_task_retries=-1).remote()] = actor

    def _started(self, reference: Any) -> None:
        del self.starting[reference]
        try:
            self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            raise EngineError(
                f"A Ray actor cannot start: {str(error)[-300:]} Expected this version "
                f"of the instrument on every node. Install it there."
            ) from error

    def _finished(self, reference: Any) -> RequestResult | None:
        if reference not in self.running:
            return None  # given back together with the request that killed the actor
        actor, request = self.running.pop(reference)
        try:
            return RequestResult.from_frame(*self.ray.get(reference))
        except self.ray.exceptions.RayTaskError:
            raise  # a bug in this package: a worker reports what a learner raises
        except self.ray.exceptions.RayError as error:
            return self._handle_death(actor, request, str(error))

    def _handle_death(
        self, actor: Any, request: Request, message: str
    ) -> RequestResult | None:
        """Give back what a dead actor held; count the death for its first request."""
        held = [ref for ref, (holder, _) in self.running.items() if holder is actor]
        for reference in held:
            self.work.give_back(self.running.pop(reference)[1])
        self._await_start(actor)
        self.cluster.n_deaths += 1
        self.deaths[request.key] += 1
        if self.deaths[request.key] >= MOST_DEATHS:
            words = " ".join(message.split())[:LOG_TAIL]
            return given_up(request, MOST_DEATHS, words)
        self.work.give_back(request)
        return None

    def _feed(self, actor: Any) -> None:
        """Send an actor as many requests as it may hold."""
        held = sum(holder is actor for holder, _ in self.running.values())
        for _ in range(REQUESTS_AHEAD - held):
            request = self.work.take(actor)
            if request is None:
                return
            self.cluster.announce(request)
            texts = [
                request_to_json(r) for r in (request, *self.sharing.others(request))
            ]
            reference = actor.measure.remote(texts[0], request.key, texts[1:])
            self.running[reference] = (actor, request)


def _joined(address: str | None) -> Any:
    """Join a cluster and return the module ``ray``."""
    try:
        import ray
    except ImportError as error:
        raise EngineError(
            "--engine ray was asked for, and Ray is not installed. Expected the extra "
            "ray. Install it: pip install 'icl-gd-probes[ray]'."
        ) from error
    try:
        _require_listener(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        raise EngineError(
            f"There is no Ray cluster at {address or 'this machine'}: {error} Expected "
            f"one that ray start began. Start it, or pass --engine ray:ADDRESS."
        ) from error
    return ray


def _require_listener(address: str | None) -> None:
    """Check that HOST:PORT accepts connections: Ray itself would try for minutes.

    Raises:
        OSError: It does not.
    """
    host, _, port = (address or "").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
