"""Distribution over xdist workers: one model lives in as few workers as may be.

``--dist loadgroup`` silently stops grouping with pytest 9.2, so this is a scheduler of
our own against xdist's public protocol. The cells of one model (and of its untrained
twin, which the same claims ask) form a group. A worker takes a group as long as there
is one that nobody works on; then it helps with the largest (see ``engine.waiting``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from xdist.remote import Producer
from xdist.workermanage import parse_tx_spec_config

from probes.engine.work_queue import Waiting
from probes.models.untrained import trained_name

AHEAD = 3
"""Tests that a worker holds: it starts one when it knows the next, and the third is on
its way meanwhile."""


def group_of(nodeid: str) -> str:
    """Name the model of a cell's test id; other tests are grouped by file."""
    test, bracket, cell = nodeid.partition("[")
    if not bracket or "-" not in cell:
        return test.partition("::")[0]
    return trained_name(cell.partition("-")[0])


class ModelScheduling:
    """An xdist scheduler that keeps the tests of a group together.

    A worker that dies loses the test it was running; what else it held waits again,
    for its replacement or for whoever is free.

    Args:
        config: pytest's.
        log: xdist's.
        sizes: Bytes of each group's model.
        room: No larger model is in two workers at a time.
    """

    def __init__(
        self,
        config: Any,
        log: Producer | None = None,
        *,
        sizes: Mapping[str, float],
        room: float,
    ) -> None:
        self.config = config
        self.sizes, self.room = sizes, room
        self.numnodes = len(parse_tx_spec_config(config))
        self.collections: dict[Any, list[str]] = {}
        self.pending: dict[Any, list[str]] = {}
        self.waiting: Waiting[str] | None = None
        self._places: dict[Any, dict[str, int]] = {}

    @property
    def nodes(self) -> list[Any]:
        """The workers that can be given tests."""
        return list(self.pending)

    @property
    def collection_is_completed(self) -> bool:
        """Whether every worker has reported its tests."""
        return self.waiting is not None or len(self.collections) >= self.numnodes

    @property
    def tests_finished(self) -> bool:
        """Whether nothing waits; a worker holds its last test until it may stop."""
        if not self.collection_is_completed or self.waiting:
            return False
        return all(len(tests) < 2 for tests in self.pending.values())

    @property
    def has_pending(self) -> bool:
        """Whether any test has not been reported."""
        return bool(self.waiting) or any(self.pending.values())

    def add_node(self, node: Any) -> None:
        """Take in a worker."""
        self.pending[node] = []

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """Take in what a worker collected."""
        self.collections[node] = list(collection)
        self._places[node] = {nodeid: i for i, nodeid in enumerate(collection)}

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
        """Refuse: what a worker holds is so little that nobody asks it back."""
        raise NotImplementedError("work is not stolen")

    def remove_node(self, node: Any) -> str | None:
        """Let a worker go; return the test that it died in, if it died in one."""
        left = self.pending.pop(node)
        if self.waiting is not None:
            self.waiting.leave(node)
            for nodeid in reversed(left[1:]):
                self.waiting.give_back(nodeid)
        return left[0] if left else None

    def schedule(self) -> None:
        """Hand out the first tests, or feed a replacement."""
        if self.waiting is None:
            tests = next(iter(self.collections.values()))
            limits: dict[str, Any] = {"sizes": self.sizes, "room": self.room}
            self.waiting = Waiting(tests, group_of, **limits)
        for ahead in range(1, AHEAD + 1):  # each begins before one gets a second
            for node in self.nodes:
                self._feed(node, ahead)

    def _feed(self, node: Any, ahead: int = AHEAD) -> None:
        if self.waiting is None or node.shutting_down or node not in self.collections:
            return  # a replacement that has not reported its tests is fed later
        pending = self.pending[node]
        while len(pending) < ahead:
            nodeid = self.waiting.take(node)
            if nodeid is None:
                break
            pending.append(nodeid)
            node.send_runtest_some([self._places[node][nodeid]])
        if len(pending) < min(ahead, 2):  # nothing waits that it may take
            node.shutdown()
