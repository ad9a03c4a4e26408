"""What waits for a worker: whole models first, so that each loads few times."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from probes.cards import ModelCard
from probes.engine.worker_resources import list_gpus
from probes.errors import ProbesError
from probes.models.parameter_count import n_parameters
from probes.models.untrained import trained_name
from probes.observations.request import Request

WIDEST = 8
"""Bytes of a number, whatever ``--dtype`` says: claims on identities ask in float64."""
LARGE = 1 << 30
"""Bytes of a model that one worker holds at a time: with what it takes to train it, it
fills the two gigabytes that machines often have for each core."""

Item = TypeVar("Item")


def group_of(request: Request) -> str:
    """Name the model that a request needs; an untrained twin goes with its model."""
    return trained_name(request.model.name)


def ordered(requests: Iterable[Request]) -> list[Request]:
    """Sort distinct requests by model, then by cell, the same on every machine."""
    distinct = {request.key: request for request in requests}

    def place(request: Request) -> tuple[str, str, str, int, str]:
        cell = (request.model.name, request.dataset.name, request.n_demonstrations)
        return (group_of(request), *cell, request.key)

    return sorted(distinct.values(), key=place)


def shard_of(requests: Iterable[Request], number: int, total: int) -> list[Request]:
    """Cut a plan into parts that share few models, and give one of them.

    Args:
        requests: The whole plan. What is stored already does not change the cut, so
            that all parts together are the plan whenever they are taken.
        number: Which part, from 1.
        total: How many parts.
    """
    plan = ordered(requests)
    start, end = (len(plan) * k // total for k in (number - 1, number))
    return plan[start:end]


class Waiting(Generic[Item]):
    """What no worker has taken yet, in groups that each need one model.

    Args:
        items: In the order in which a group is worked on.
        group: Names the group of an item.
        sizes: Bytes of each group's model; 1 where it is not among them.
        room: No two workers work on a larger model at a time.
    """

    def __init__(
        self,
        items: Iterable[Item],
        group: Callable[[Item], str],
        *,
        sizes: Mapping[str, float],
        room: float = math.inf,
    ) -> None:
        self._group, self._sizes, self._room = group, sizes, room
        self._groups: dict[str, deque[Item]] = {}
        self._at: dict[Hashable, tuple[str, bool]] = {}  # a group, whether as a helper
        for item in items:
            self._groups.setdefault(group(item), deque()).append(item)

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def take(self, worker: Hashable) -> Item | None:
        """Give a worker its next item; None when nothing waits that it may take.

        It goes on with the group that it is at. Then it takes the one with most work
        that nobody is at, from the front; else it helps where most work is, from the
        back, where others need other observations. Work is items times bytes.
        """
        name, helps = self._at.get(worker) or ("", False)
        if not self._groups.get(name):
            self.leave(worker)
            left = {name: self._work(name) for name, g in self._groups.items() if g}
            held = {name for name, _ in self._at.values()}
            free = {name: work for name, work in left.items() if name not in held}
            small = {n: work for n, work in left.items() if self._size(n) <= self._room}
            among = free or small
            if not among:
                return None
            name, helps = max(among, key=lambda name: among[name]), not free
            self._at[worker] = name, helps
        group = self._groups[name]
        return group.pop() if helps else group.popleft()

    def leave(self, worker: Hashable) -> None:
        """Forget a worker that is gone, so that its group is free."""
        self._at.pop(worker, None)

    def give_back(self, item: Item) -> None:
        """Let an item wait again, before all others of its group."""
        self._groups.setdefault(self._group(item), deque()).appendleft(item)

    def _size(self, name: str) -> float:
        return self._sizes.get(name, 1)

    def _work(self, name: str) -> float:
        return len(self._groups[name]) * self._size(name)


def group_sizes(models: Iterable[ModelCard]) -> dict[str, float]:
    """Tell the bytes of each group's model; infinite where no file tells them."""
    return {trained_name(card.name): _bytes(card) for card in models}


def _bytes(card: ModelCard) -> float:
    try:
        found = n_parameters(card)
    except (ProbesError, OSError):  # its own cells will report it, in words
        found = None
    return math.inf if found is None else WIDEST * found


def room_on(device: str, n_workers: int) -> float:
    """Tell how large a model may be to be loaded by two workers of a machine at once.

    Where each worker has a GPU of its own, there is no limit.
    """
    has_own = device == "cuda" and n_workers <= len(list_gpus())
    return math.inf if has_own else LARGE
