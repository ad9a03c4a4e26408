"""Scheduling: models in as few workers as may be, and nothing is left undone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from probes_fixtures import models as _models  # noqa: F401 - registers them

from probes.engine.scheduling import (
    TESTS_AHEAD,
    ModelScheduling,
    by_training,
    group_of_test,
)
from probes.engine.work_queue import LARGE
from probes.pytest_plugin.xdist_workers import pytest_xdist_make_scheduler

A, A_MORE = ([f"c.py::test_{x}[a-sst2-{n}]" for n in (1, 2, 4, 8, 16)] for x in "xy")
B = [f"c.py::test_x[b-sst2-{n}]" for n in (1, 2, 4)]
C = [f"c.py::test_x[c-sst2-{n}]" for n in (1, 2)]
MIXED = [C[0], A[0], B[0], A[1], B[1], A[2], C[1], A[3], B[2], A[4]]


class Node:
    """A worker as xdist shows it: it keeps its last test until it may stop."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.shutting_down = False
        self.sent: list[int] = []

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        assert not self.shutting_down
        self.sent.extend(indices)

    def shutdown(self) -> None:
        self.shutting_down = True


def scheduling(
    n_nodes: int, tests: Sequence[str], *, large: str = "", **sizes: float
) -> tuple[ModelScheduling, list[Node]]:
    """Start a run: every worker has reported the same tests."""
    made = waiting(n_nodes, **sizes, **dict.fromkeys(large, 100.0))
    nodes = [Node(f"gw{i}") for i in range(n_nodes)]
    for node in nodes:
        made.add_node(node)
    for node in nodes:
        made.add_node_collection(node, tests)
    made.schedule()
    return made, nodes


def waiting(n_nodes: int, **sizes: float) -> ModelScheduling:
    config: Any = SimpleNamespace(getvalue=lambda name: [f"{n_nodes}*popen"])
    return ModelScheduling(config, sizes=sizes, shared_limit=99.0)


def given_to(node: Node, tests: Sequence[str]) -> list[str]:
    return [tests[i] for i in node.sent]


def finish(made: ModelScheduling, node: Node, tests: Sequence[str], test: str) -> None:
    made.mark_test_complete(node, list(tests).index(test))


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("claims/test_a.py::test_x[llama-sst2-4]", "llama"),
        ("claims/test_a.py::test_x[untrained:llama-sst2-4]", "llama"),
        ("claims/test_b.py::test_y[llama-linear-10-gdpp]", "llama"),
        ("tests/test_a.py::test_x", "tests/test_a.py"),
        ("tests/test_a.py::test_x[value]", "tests/test_a.py"),
        ("tests/test_a.py::Class::test_x[value]", "tests/test_a.py"),
    ],
)
def test_cells_are_grouped_by_model_and_tests_by_file(nodeid: str, group: str) -> None:
    assert group_of_test(nodeid) == group


def run(made: ModelScheduling, node: Node, tests: Sequence[str], n: int = 100) -> None:
    """Let a worker run as many tests as it may; one it keeps until it is let go."""
    for _ in range(n):
        held = made.pending[node]
        if len(held) > 1 or (held and node.shutting_down):
            finish(made, node, tests, held[0])


def test_tests_that_train_alike_follow_one_another() -> None:
    claims = ["x", "y"]
    asked = [f"test_{c}[a-{d}-4-{v}]" for c in claims for v in "ps" for d in ("e", "f")]
    plain = ["test_z[a-e-4]", "t.py::test_w"]
    by_dataset = [
        f"test_{c}[a-{d}-4-{v}]" for d in ("e", "f") for v in "ps" for c in claims
    ]
    expected = [*by_dataset[:4], plain[0], *by_dataset[4:], plain[1]]
    assert by_training([*asked, *plain]) == expected
    assert by_training(MIXED[:2]) == MIXED[:2]


def test_each_worker_begins_with_a_model_of_its_own() -> None:
    _, nodes = scheduling(2, MIXED)
    assert given_to(nodes[0], MIXED) == A[:TESTS_AHEAD]
    assert given_to(nodes[1], MIXED) == B


def test_worker_goes_on_with_its_model_as_long_as_there_is_some() -> None:
    made, (node,) = scheduling(1, MIXED)
    run(made, node, MIXED)
    assert given_to(node, MIXED) == [*A, *B, *C]
    assert node.shutting_down


def test_an_untrained_copy_goes_with_its_model() -> None:
    copies = [a.replace("[a", "[untrained:a") for a in A]
    tests = [*A, *B, *copies]
    made, nodes = scheduling(2, tests, large="ab")
    for node in nodes:
        run(made, node, tests)
    assert given_to(nodes[0], tests) == by_training([*A, *copies])


def test_most_work_is_handed_out_first() -> None:
    _, nodes = scheduling(1, [*C, *B, *A])
    assert given_to(nodes[0], [*C, *B, *A]) == A[:TESTS_AHEAD]
    _, nodes = scheduling(1, [*C, *B, *A], a=1.0, b=2.0, c=1.0)
    assert given_to(nodes[0], [*C, *B, *A]) == B


def test_groups_of_as_much_work_keep_their_order() -> None:
    tests = ["c.py::t[b-x-1]", "c.py::t[a-x-1]", "c.py::t[b-x-2]", "c.py::t[a-x-2]"]
    _, nodes = scheduling(2, tests)
    assert [given_to(node, tests)[0] for node in nodes] == [tests[0], tests[1]]


def test_free_worker_helps_with_the_largest_group_from_its_end() -> None:
    tests = by_training([*A, *A_MORE])
    made, nodes = scheduling(2, tests)
    assert given_to(nodes[0], tests) == tests[:TESTS_AHEAD]
    run(made, nodes[1], tests, 1)
    assert given_to(nodes[1], tests) == tests[: -TESTS_AHEAD - 2 : -1]


def test_nobody_helps_with_a_large_model() -> None:
    made, nodes = scheduling(2, [*A, *A_MORE], large="a")
    assert nodes[1].shutting_down
    run(made, nodes[0], [*A, *A_MORE])
    assert given_to(nodes[0], [*A, *A_MORE]) == by_training([*A, *A_MORE])


def test_worker_holds_one_more_than_it_must_know() -> None:
    made, nodes = scheduling(1, [*A, *B])
    for n in range(1, 4):
        run(made, nodes[0], [*A, *B], 1)
        assert len(made.pending[nodes[0]]) == TESTS_AHEAD
        assert len(nodes[0].sent) == TESTS_AHEAD + n


def test_worker_is_let_go_when_nothing_waits() -> None:
    made, (node,) = scheduling(1, C)
    assert not node.shutting_down
    finish(made, node, C, C[0])
    assert node.shutting_down


def test_worker_without_a_test_is_let_go_at_once() -> None:
    made, nodes = scheduling(3, [*A, *B], large="ab")
    assert [node.shutting_down for node in nodes] == [False, False, True]
    assert given_to(nodes[2], [*A, *B]) == []
    assert made.has_pending


def test_run_without_tests_lets_every_worker_go() -> None:
    made, nodes = scheduling(2, [])
    assert all(node.shutting_down for node in nodes)
    assert made.tests_finished
    assert not made.has_pending


def test_nothing_is_handed_out_before_all_workers_reported() -> None:
    made, node = waiting(2), Node("gw0")
    made.add_node(node)
    made.add_node_collection(node, A)
    assert not made.collection_is_completed
    assert not made.tests_finished
    made.add_node_collection(Node("gw1"), A)
    assert made.collection_is_completed


def test_run_is_finished_when_workers_hold_at_most_their_last_test() -> None:
    made, (node,) = scheduling(1, C)
    assert not made.tests_finished
    finish(made, node, C, C[0])
    assert made.tests_finished  # xdist then shuts down, and the worker runs its last
    assert made.has_pending
    finish(made, node, C, C[1])
    assert not made.has_pending


def test_run_is_not_finished_while_a_group_waits() -> None:
    made, _ = scheduling(1, [*A, *B])
    made.pending[made.nodes[0]].clear()
    assert made.queue
    assert not made.tests_finished


def test_dying_worker_loses_the_test_it_ran() -> None:
    made, nodes = scheduling(2, [*A, *B])
    finish(made, nodes[0], [*A, *B], A[0])
    assert made.remove_node(nodes[0]) == A[1]
    assert made.nodes == [nodes[1]]


def test_rest_of_a_dead_workers_group_goes_to_its_replacement() -> None:
    made, nodes = scheduling(2, [*A, *B], large="ab")
    made.remove_node(nodes[0])
    assert not made.tests_finished
    new = Node("gw2")
    made.add_node(new)
    made.add_node_collection(new, [*A, *B])
    made.schedule()
    run(made, new, [*A, *B])
    assert given_to(new, [*A, *B]) == A[1:]


def test_two_replacements_wait_for_their_own_report() -> None:
    made, nodes = scheduling(2, [*A, *B], large="ab")
    for node in nodes:
        made.remove_node(node)
    new = [Node("gw2"), Node("gw3")]
    for node in new:
        made.add_node(node)
    for node in new:
        made.add_node_collection(node, [*A, *B])
        made.schedule()
    for node in new:
        run(made, node, [*A, *B])
    assert [given_to(node, [*A, *B]) for node in new] == [A[1:], B[1:]]


def test_rest_of_a_dead_workers_group_goes_to_who_is_free_first() -> None:
    made, nodes = scheduling(2, [*A, *B], large="ab")
    made.remove_node(nodes[0])
    run(made, nodes[1], [*A, *B])
    assert given_to(nodes[1], [*A, *B]) == [*B, *A[1:]]


def test_worker_that_dies_idle_loses_nothing() -> None:
    made, nodes = scheduling(2, C, large="c")
    assert made.remove_node(nodes[1]) is None
    assert not made.queue


def test_worker_that_dies_in_its_last_test_leaves_nothing() -> None:
    made, (node,) = scheduling(1, C)
    finish(made, node, C, C[0])
    assert made.remove_node(node) == C[1]
    assert not made.has_pending


def test_worker_that_shuts_down_gets_no_more() -> None:
    made, nodes = scheduling(2, [*A, *B, *C])
    nodes[1].shutdown()
    for test in B:
        finish(made, nodes[1], [*A, *B, *C], test)
    assert given_to(nodes[1], [*A, *B, *C]) == B
    assert made.queue


def test_tests_are_neither_rerun_nor_stolen() -> None:
    made, nodes = scheduling(1, C)
    with pytest.raises(NotImplementedError, match="not rerun"):
        made.mark_test_pending(C[0])
    with pytest.raises(NotImplementedError, match="not stolen"):
        made.remove_pending_tests_from_node(nodes[0], [0])


def test_a_run_knows_the_sizes_of_its_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    config: Any = SimpleNamespace(getvalue=lambda name: ["2*popen"])
    option = SimpleNamespace(models="llama_7b_untrained,hmm_llama", device="cpu")
    config.option, option.dist = option, "load"
    made = pytest_xdist_make_scheduler(config, None)
    assert made.sizes["llama_7b_untrained"] > 50e9 > made.shared_limit
    assert 0 < made.sizes["hmm_llama"] < made.shared_limit
    option.device = "cuda"
    assert pytest_xdist_make_scheduler(config, None).shared_limit == math.inf
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # which both workers share
    assert pytest_xdist_make_scheduler(config, None).shared_limit == LARGE
    option.dist = "worksteal"
    assert pytest_xdist_make_scheduler(config, None) is None


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), max_size=6),
    n_nodes=st.integers(1, 4),
    large=st.sets(st.integers(0, 5)),
    deaths=st.sets(st.integers(0, 20), max_size=3),
    choose=st.randoms(use_true_random=False),
)
def test_every_test_is_run_or_lost_exactly_once(
    sizes: list[int], n_nodes: int, large: set[int], deaths: set[int], choose: Any
) -> None:
    tests = [
        f"c.py::t[m{m}-x-{i}]" for m, size in enumerate(sizes) for i in range(size)
    ]
    bytes_of = {f"m{m}": 100.0 for m in large}
    made, alive = scheduling(n_nodes, tests, **bytes_of)
    done: list[str] = []
    for turn in range(1000):
        busy = [node for node in alive if made.pending[node]]
        if not busy:
            break
        assert made.queue is not None
        at = [name for name, _ in made.queue._held.values()]
        assert all(at.count(f"m{m}") < 2 for m in large)
        node = choose.choice(busy)
        if turn in deaths:
            done.append(str(made.remove_node(node)))
            new = Node(f"gw{n_nodes + turn}")
            alive[alive.index(node)] = new
            made.add_node(new)
            made.add_node_collection(new, tests)
            made.schedule()
            continue
        if len(made.pending[node]) == 1:
            assert node.shutting_down  # else it would wait for ever
        done.append(made.pending[node][0])
        finish(made, node, tests, done[-1])
    assert sorted(done) == sorted(tests)
    assert made.tests_finished
    assert not made.has_pending
