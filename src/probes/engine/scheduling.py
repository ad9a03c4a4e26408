"""Distribute tests over xdist workers so that few workers load the same model.

``--dist loadgroup`` silently stops grouping with pytest 9.2, so this package has its
own scheduler, written against xdist's public protocol. The cells of one model and of
its untrained copy, which the same claims need, form a group. ``work_queue`` decides
which worker takes which group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from xdist.remote import Producer
from xdist.workermanage import parse_tx_spec_config

from probes.engine.work_queue import WorkQueue
from probes.models.untrained import trained_name

TESTS_AHEAD = 3
"""Tests that a worker holds. It starts a test only when it knows the next one, and the
third is sent meanwhile."""


def group_of_test(nodeid: str) -> str:
    """Name the model in a cell's test id; other tests are grouped by file."""
    test, bracket, cell = nodeid.partition("[")
    if not bracket or "-" not in cell:
        return test.partition("::")[0]
    return trained_name(cell.partition("-")[0])


def by_training(tests: Iterable[str]) -> list[str]:
    """Sort tests so that those that ask for the same training follow one another.

    They have the same dataset, number of demonstrations and variant. A worker that
    helps takes tests from the end, and seldom waits there for what another trains.
    """
    places: dict[str, int] = {}

    def place(nodeid: str) -> tuple[int, int]:
        _, _, cell = nodeid.removesuffix("]").partition("[")
        _, *shape = cell.split("-")
        asked, variant = "-".join(shape[:2]), f"variant {'-'.join(shape[2:])}"
        places.setdefault(asked, len(places))
        places.setdefault(variant, len(places))
        return places[asked], places[variant]

    return sorted(tests, key=place)


class ModelScheduling:
    """An xdist scheduler that keeps the tests of a group together.

    If a worker dies, the test that it was running is lost. Its other tests go back to
    the queue, for its replacement or for any free worker.

    Args:
        config: The configuration of pytest.
        log: The log of xdist.
        sizes: Bytes of each group's model.
        shared_limit: Bytes above which two workers never share a model.
    """

    def __init__(
        self,
        config: Any,
        log: Producer | None = None,
        *,
        sizes: Mapping[str, float],
        shared_limit: float,
    ) -> None:
        self.config = config
        self.sizes, self.shared_limit = sizes, shared_limit
        self.numnodes = len(parse_tx_spec_config(config))
        self.collections: dict[Any, list[str]] = {}
        self.pending: dict[Any, list[str]] = {}
        self.queue: WorkQueue[str] | None = None
        self._places: dict[Any, dict[str, int]] = {}

    @property
    def nodes(self) -> list[Any]:
        """The workers that can be given tests."""
        return list(self.pending)

    @property
    def collection_is_completed(self) -> bool:
        """Whether every worker has reported its tests."""
        return self.queue is not None or len(self.collections) >= self.numnodes

    @property
    def tests_finished(self) -> bool:
        """Whether the queue is empty; each worker may hold one last test."""
        if not self.collection_is_completed or self.queue:
            return False
        return all(len(tests) < 2 for tests in self.pending.values())

    @property
    def has_pending(self) -> bool:
        """Whether any test has not been reported."""
        return bool(self.queue) or any(self.pending.values())

    def add_node(self, node: Any) -> None:
        """Add a worker."""
        self.pending[node] = []

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """Note the tests that a worker collected."""
        self.collections[node] = list(collection)
        self._places[node] = {nodeid: i for i, nodeid in enumerate(collection)}

    def mark_test_complete(
        self, node: Any, item_index: int, duration: float = 0
    ) -> None:
        """Cross a test off, and give the worker more tests if it needs them."""
        self.pending[node].remove(self.collections[node][item_index])
        self._feed(node)

    def mark_test_pending(self, item: str) -> NoReturn:
        """Refuse: tests are not rerun here."""
        raise NotImplementedError("tests are not rerun")

    def remove_pending_tests_from_node(
        self, node: Any, indices: Sequence[int]
    ) -> NoReturn:
        """Refuse: a worker holds too few tests to take any back."""
        raise NotImplementedError("work is not stolen")

    def remove_node(self, node: Any) -> str | None:
        """Forget a worker, and return the test that it died in, if there is one."""
        left = self.pending.pop(node)
        if self.queue is not None:
            self.queue.release(node)
            for nodeid in reversed(left[1:]):
                self.queue.give_back(nodeid)
        return left[0] if left else None

    def schedule(self) -> None:
        """Send out the first tests, or give tests to a replacement."""
        if self.queue is None:
            tests = by_training(next(iter(self.collections.values())))
            limits: dict[str, Any] = {
                "sizes": self.sizes,
                "shared_limit": self.shared_limit,
            }
            self.queue = WorkQueue(tests, group_of_test, **limits)
        for ahead in range(
            1, TESTS_AHEAD + 1
        ):  # every worker gets a first test before any gets a second
            for node in self.nodes:
                self._feed(node, ahead)

    def _feed(self, node: Any, ahead: int = TESTS_AHEAD) -> None:
        if self.queue is None or node.shutting_down or node not in self.collections:
            return  # a replacement that has not yet reported its tests
        pending = self.pending[node]
        while len(pending) < ahead:
            nodeid = self.queue.take(node)
            if nodeid is None:
                break
            pending.append(nodeid)
            node.send_runtest_some([self._places[node][nodeid]])
        if len(pending) < min(ahead, 2):  # it may take none of the tests left
            node.shutdown()
