"""The queue of a plan: workers take whole models, so that models load few times."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from probes.cards import ModelCard
from probes.engine.worker_resources import count_workers, list_gpus
from probes.errors import ProbesError
from probes.models.parameter_count import n_parameters
from probes.models.runtime.free_memory import free_ram
from probes.models.untrained import trained_name
from probes.observations.request import Request

WIDEST = 8
"""Bytes per number, whatever ``--dtype`` says: claims on identities use float64."""
LARGE = 1 << 30
"""Bytes of a model that two workers may not share where free memory is not known."""
TRAINING_FACTOR = 7
"""Memory of a worker that searches and trains, over :data:`WIDEST` bytes a weight.
Measured on SmolLM2-135M: 7 GB for a model of 1.08 GB."""

QueueItem = TypeVar("QueueItem")


def model_group(request: Request) -> str:
    """Name the model that a request needs; an untrained copy shares its name."""
    return trained_name(request.model.name)


def in_plan_order(requests: Iterable[Request]) -> list[Request]:
    """Sort distinct requests by model, then by cell, the same on every machine."""
    distinct = {request.key: request for request in requests}

    def place(request: Request) -> tuple[str, str, str, int, str]:
        cell = (request.model.name, request.dataset.name, request.n_demonstrations)
        return (model_group(request), *cell, request.key)

    return sorted(distinct.values(), key=place)


def shard_of(requests: Iterable[Request], number: int, total: int) -> list[Request]:
    """Cut a plan into parts that share few models, and return one part.

    Args:
        requests: The whole plan. What is already stored does not change the cut, so
            all parts together are the plan, whenever they run.
        number: Which part, from 1.
        total: How many parts.
    """
    plan = in_plan_order(requests)
    start, end = (len(plan) * k // total for k in (number - 1, number))
    return plan[start:end]


class WorkQueue(Generic[QueueItem]):
    """The items that no worker has taken yet, grouped by the model that they need.

    Args:
        items: In the order in which a group is worked on.
        group: Names the group of an item.
        sizes: Bytes of each group's model; 1 if a group is missing.
        shared_limit: Bytes above which two workers never share a model.
    """

    def __init__(
        self,
        items: Iterable[QueueItem],
        group: Callable[[QueueItem], str],
        *,
        sizes: Mapping[str, float],
        shared_limit: float = math.inf,
    ) -> None:
        self._group, self._sizes, self._shared_limit = group, sizes, shared_limit
        self._groups: dict[str, deque[QueueItem]] = {}
        self._held: dict[Hashable, tuple[str, bool]] = {}  # group; whether it helps
        for item in items:
            self._groups.setdefault(group(item), deque()).append(item)

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def take(self, worker: Hashable) -> QueueItem | None:
        """Give a worker its next item; None if it may take none of those left.

        A worker continues with its group. After that it takes the front of the group
        with most work that no worker holds. If every group is held, it helps the group
        with most work, from the back, where the others need other observations. Work is
        items times bytes.
        """
        name, helps = self._held.get(worker) or ("", False)
        if not self._groups.get(name):
            self.release(worker)
            left = {name: self._work(name) for name, g in self._groups.items() if g}
            held = {name for name, _ in self._held.values()}
            free = {name: work for name, work in left.items() if name not in held}
            limit = self._shared_limit
            shared = {n: work for n, work in left.items() if self._size(n) <= limit}
            candidates = free or shared
            if not candidates:
                return None
            name = max(candidates, key=lambda name: candidates[name])
            helps = not free
            self._held[worker] = name, helps
        group = self._groups[name]
        return group.pop() if helps else group.popleft()

    def release(self, worker: Hashable) -> None:
        """Forget a worker that is gone, so that no worker holds its group."""
        self._held.pop(worker, None)

    def give_back(self, item: QueueItem) -> None:
        """Put an item back, before all others of its group."""
        self._groups.setdefault(self._group(item), deque()).appendleft(item)

    def _size(self, name: str) -> float:
        return self._sizes.get(name, 1)

    def _work(self, name: str) -> float:
        return len(self._groups[name]) * self._size(name)


def model_bytes_by_group(models: Iterable[ModelCard]) -> dict[str, float]:
    """Count the bytes of each group's model; infinite if no file states its size."""
    return {trained_name(card.name): _bytes(card) for card in models}


def _bytes(card: ModelCard) -> float:
    try:
        n = n_parameters(card)
    except (ProbesError, OSError):  # the cell itself reports this error
        n = None
    return math.inf if n is None else WIDEST * n


def workers_that_fit(models: Iterable[ModelCard], device: str) -> int:
    """Count the workers of a run: on the CPU, as many as can train its largest model.

    With fewer workers than cores, each computes with several threads. A model whose
    size no file states does not count.
    """
    free = free_ram()
    sizes = model_bytes_by_group(models).values()
    largest = max((size for size in sizes if size < math.inf), default=0.0)
    if free is None or not largest:
        return count_workers(device)
    return count_workers(device, most=free / (TRAINING_FACTOR * largest))


def shared_model_limit(device: str, n_workers: int) -> float:
    """Return how many bytes a model may have to be loaded by two workers at once.

    On the CPU the workers share the free memory. There is no limit if each worker has a
    GPU of its own.
    """
    if device == "cuda" and n_workers <= len(list_gpus()):
        return math.inf
    free = free_ram() if device == "cpu" else None
    return LARGE if free is None else free / n_workers / TRAINING_FACTOR
