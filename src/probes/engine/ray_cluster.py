"""``--engine ray``: the plan measured by actors of a Ray cluster.

Each actor keeps the model it loaded. An actor that dies, alone or with its node, is
restarted by Ray wherever there is room; its requests go to whoever is free. Ray is an
extra, and its own transport trusts every machine of the cluster.
"""

from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from probes.engine.local_pool import LAST_WORDS, MOST_DEATHS
from probes.engine.protocol import Answer, lost
from probes.engine.request_json import to_wire
from probes.engine.work_queue import Waiting, group_of, group_sizes, ordered
from probes.engine.worker import Post, Worker
from probes.errors import EngineError
from probes.observations.request import Request

AHEAD = 2
"""Requests that an actor holds: the next is there when it has answered the last."""
LONGEST_START = 120.0  # seconds without any actor that is up or working


class Remote:
    """What runs in an actor: a worker behind plain values."""

    def __init__(self, post: str) -> None:
        self.worker = Worker(Post.from_wire(post))

    def ready(self) -> bool:
        """Answer, which a new or a restarted actor does once it is up."""
        return True

    def answer(self, text: str, key: str) -> tuple[str, list[bytes]]:
        """Measure one request."""
        return self.worker.answer(text, key).packed()


class RayCluster:
    """Measures a plan in actors.

    Args:
        address: As ``ray.init`` takes it; None joins the cluster of this machine, or
            starts one that lives as long as this process.
        post: Where the actors stand.
        device: Where models run: each actor of a run on "cuda" holds one GPU.
        announce: Called with each request that is handed to an actor.

    Raises:
        EngineError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(
        self,
        address: str | None,
        *,
        post: Post,
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
        held: dict[str, Any] = {f"num_{kind.lower()}s": each}
        self._remote = self.ray.remote(max_restarts=-1, **held)(Remote)
        self.actors: list[Any] = []
        self.n_deaths = 0
        self._post = post.to_wire()

    def measure(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Answer every request once, as the answers come.

        Raises:
            EngineError: No actor comes up.
        """
        plan = ordered(requests)
        sizes = group_sizes({request.model for request in plan})
        waiting = Waiting(plan, group_of, sizes=sizes)
        n_more = min(self.n_workers, len(waiting)) - len(self.actors)
        self.actors += [self._remote.remote(self._post) for _ in range(n_more)]
        yield from _Measuring(self, waiting).answers()

    def close(self) -> None:
        """Kill the actors; the cluster is left as it is."""
        for actor in self.actors:
            self.ray.kill(actor)
        self.ray.shutdown()


class _Measuring:
    """One plan on its way through the actors."""

    def __init__(self, cluster: RayCluster, waiting: Waiting[Request]) -> None:
        self.cluster, self.ray, self.waiting = cluster, cluster.ray, waiting
        self.n_left = len(waiting)
        self.begun: dict[Any, tuple[Any, Request]] = {}  # the oldest first
        self.rising: dict[Any, Any] = {}
        self.deaths: Counter[str] = Counter()

    def answers(self) -> Iterator[Answer]:
        """Wait for answers and hand out requests, until all are answered."""
        for actor in self.cluster.actors:
            self._raise(actor)
        while self.n_left:
            done = self._wait()
            for found in [ref for ref in self.rising if ref in done]:
                self._risen(found)
            for found in [ref for ref in self.begun if ref in done]:
                if (answer := self._finished(found)) is not None:
                    self.n_left -= 1
                    yield answer
            for actor in self.cluster.actors:
                if actor not in self.rising.values():
                    self._feed(actor)

    def _wait(self) -> set[Any]:
        asked = [*self.begun, *self.rising]
        limit = None if self.begun else LONGEST_START
        done, _ = self.ray.wait(asked, num_returns=1, timeout=limit)
        if not done:
            raise EngineError(
                f"No Ray actor came up in {LONGEST_START:g} s. Expected room for one; "
                f"{self.ray.available_resources()} is free. End what uses the cluster, "
                f"or add nodes."
            )
        return set(self.ray.wait(asked, num_returns=len(asked), timeout=0)[0])

    def _raise(self, actor: Any) -> None:
        """Ask an actor to answer once it is up, which may be never."""
        self.rising[actor.ready.options(max_task_retries=-1).remote()] = actor

    def _risen(self, found: Any) -> None:
        del self.rising[found]
        try:
            self.ray.get(found)
        except self.ray.exceptions.RayError as error:
            raise EngineError(
                f"A Ray actor cannot start: {str(error)[-300:]} Expected this version "
                f"of the instrument on every node. Install it there."
            ) from error

    def _finished(self, found: Any) -> Answer | None:
        if found not in self.begun:
            return None  # given back with the one that its actor died of
        actor, request = self.begun.pop(found)
        try:
            return Answer.unpacked(*self.ray.get(found))
        except self.ray.exceptions.RayTaskError:
            raise  # a bug of ours: a worker tells what a learner raises
        except self.ray.exceptions.RayError as error:
            return self._buried(actor, request, str(error))

    def _buried(self, actor: Any, request: Request, told: str) -> Answer | None:
        """Give back what a dead actor held; what it was at counts a death."""
        for ref in [ref for ref, (holder, _) in self.begun.items() if holder is actor]:
            self.waiting.give_back(self.begun.pop(ref)[1])
        self._raise(actor)
        self.cluster.n_deaths += 1
        self.deaths[request.key] += 1
        if self.deaths[request.key] >= MOST_DEATHS:
            return lost(request, MOST_DEATHS, " ".join(told.split())[:LAST_WORDS])
        self.waiting.give_back(request)
        return None

    def _feed(self, actor: Any) -> None:
        """Give an actor as many requests as it may hold."""
        held = sum(holder is actor for holder, _ in self.begun.values())
        for _ in range(AHEAD - held):
            request = self.waiting.take(actor)
            if request is None:
                return
            self.cluster.announce(request)
            found = actor.answer.remote(to_wire(request), request.key)
            self.begun[found] = (actor, request)


def _joined(address: str | None) -> Any:
    """Join a cluster and give the module that speaks with it."""
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
    """Look whether anybody listens at HOST:PORT: Ray itself would try for minutes.

    Raises:
        OSError: Nobody does.
    """
    host, _, port = (address or "").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
