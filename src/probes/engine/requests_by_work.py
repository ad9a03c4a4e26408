"""Finds the requests of a run that share a work, so that they are measured together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from probes.observations.request import Request
from probes.observations.shared_work import work_of


class RequestsByWork:
    """The requests of a run, by the work that they share.

    Args:
        requests: Lists the requests; it is called when a work is looked up first.
    """

    def __init__(self, requests: Callable[[], Iterable[Request]]) -> None:
        self._requests = requests

    def __call__(self, work: Request) -> Sequence[Request]:
        """List the requests that share a work."""
        return self._by_work.get(work, ())

    def others(self, request: Request) -> list[Request]:
        """List the other requests that share the work of one."""
        work = work_of(request)
        return [] if work is None else [r for r in self(work) if r != request]

    @cached_property
    def _by_work(self) -> dict[Request, list[Request]]:
        found: dict[Request, list[Request]] = defaultdict(list)
        for request in dict.fromkeys(self._requests()):
            work = work_of(request)
            if work is not None:
                found[work].append(request)
        return dict(found)
