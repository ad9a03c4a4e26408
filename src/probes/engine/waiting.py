"""Requests that wait for a worker: whole models first, so that each loads few times."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from probes.request import Request
from probes.twins import trained_name


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


class Waiting:
    """The requests that no worker has taken yet."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self._groups: dict[str, deque[Request]] = {}
        self._held: dict[str, int] = {}
        for request in ordered(requests):
            self._groups.setdefault(group_of(request), deque()).append(request)

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def take(self, model: str | None) -> Request | None:
        """Give a worker its next request; None when nothing waits.

        Args:
            model: The group whose model the worker has loaded. It goes on with it from
                the front; then it takes the largest group that nobody works on; else it
                helps with the largest, from the back.
        """
        if model is not None and self._groups.get(model):
            return self._groups[model].popleft()
        if model is not None:
            self.leave(model)
        left = {name: len(group) for name, group in self._groups.items() if group}
        if not left:
            return None
        free = {name: n for name, n in left.items() if not self._held.get(name)}
        name = max(free or left, key=lambda name: left[name])
        self._held[name] = self._held.get(name, 0) + 1
        group = self._groups[name]
        return group.popleft() if free else group.pop()

    def leave(self, model: str) -> None:
        """Note that a worker no longer works on a group."""
        self._held[model] = max(0, self._held.get(model, 0) - 1)

    def give_back(self, request: Request) -> None:
        """Let a request wait again, before all others of its model."""
        self._groups.setdefault(group_of(request), deque()).appendleft(request)
