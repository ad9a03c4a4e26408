"""Distribution over xdist workers: one model lives in one worker.

``--dist loadgroup`` silently stops grouping with pytest 9.2, so this is a scheduler of
our own against xdist's public protocol. The cells of one model (and of its untrained
twin, which the same claims ask) form a group; a worker takes whole groups.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NoReturn

from xdist.remote import Producer
from xdist.workermanage import parse_tx_spec_config

from probes.twins import trained_name


def group_of(nodeid: str) -> str:
    """Name the model of a cell's test id; other tests are grouped by file."""
    test, bracket, cell = nodeid.partition("[")
    if not bracket or "-" not in cell:
        return test.partition("::")[0]
    return trained_name(cell.partition("-")[0])


class ModelScheduling:
    """An xdist scheduler that gives each worker whole groups.

    A worker that dies loses the test it was running; the rest of its group goes to the
    front of the queue, for its replacement or for whoever is free.
    """

    def __init__(self, config: Any, log: Producer | None = None) -> None:
        self.config = config
        self.numnodes = len(parse_tx_spec_config(config))
        self.collections: dict[Any, list[str]] = {}
        self.pending: dict[Any, list[str]] = {}
        self.queue: deque[list[str]] = deque()
        self.started = False

    @property
    def nodes(self) -> list[Any]:
        """The workers that can be given tests."""
        return list(self.pending)

    @property
    def collection_is_completed(self) -> bool:
        """Whether every worker has reported its tests."""
        return self.started or len(self.collections) >= self.numnodes

    @property
    def tests_finished(self) -> bool:
        """Whether nothing waits; a worker holds its last test until it may stop."""
        if not self.collection_is_completed or self.queue:
            return False
        return all(len(tests) < 2 for tests in self.pending.values())

    @property
    def has_pending(self) -> bool:
        """Whether any test has not been reported."""
        return bool(self.queue) or any(self.pending.values())

    def add_node(self, node: Any) -> None:
        """Take in a worker."""
        self.pending[node] = []

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """Take in what a worker collected."""
        self.collections[node] = list(collection)

    def mark_test_complete(
        self, node: Any, item_index: int, duration: float = 0
    ) -> None:
        """Cross a test off, and give the worker more if it runs dry."""
        self.pending[node].remove(self.collections[node][item_index])
        self._feed(node)

    def mark_test_pending(self, item: str) -> NoReturn:
        """Refuse: tests are not rerun here."""
        raise NotImplementedError("tests are not rerun")

    def remove_pending_tests_from_node(
        self, node: Any, indices: Sequence[int]
    ) -> NoReturn:
        """Refuse: work is not stolen, since a model lives in one worker."""
        raise NotImplementedError("work is not stolen")

    def remove_node(self, node: Any) -> str | None:
        """Let a worker go; return the test that it died in, if it died in one."""
        left = self.pending.pop(node)
        if not left:
            return None
        if left[1:]:
            self.queue.appendleft(left[1:])
        return left[0]

    def schedule(self) -> None:
        """Hand out the first groups, the largest first, or feed a replacement."""
        if not self.started:
            self.started = True
            groups: dict[str, list[str]] = {}
            for nodeid in next(iter(self.collections.values())):
                groups.setdefault(group_of(nodeid), []).append(nodeid)
            self.queue.extend(sorted(groups.values(), key=len, reverse=True))
        for node in self.nodes:
            self._feed(node)

    def _feed(self, node: Any) -> None:
        if node.shutting_down or node not in self.collections:
            return  # a replacement that has not reported its tests is fed later
        while self.queue and len(self.pending[node]) < 2:
            tests = self.queue.popleft()
            self.pending[node].extend(tests)
            index = {nodeid: i for i, nodeid in enumerate(self.collections[node])}
            node.send_runtest_some([index[nodeid] for nodeid in tests])
        if not self.queue and len(self.pending[node]) < 2:
            node.shutdown()
