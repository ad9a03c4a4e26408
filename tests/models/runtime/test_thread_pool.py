"""Tasks in parallel threads have the results that they have one by one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from probes.learners import GradientLearner
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.llama import inference
from probes.models.llama.prefix_tree import build_prefix_tree
from probes.models.runtime import thread_pool as threads
from probes.models.runtime.thread_pool import (
    n_threads_for,
    raise_if_cancelled,
    run_in_threads,
)
from probes.models.training import training_loop
from probes.models.training.run_groups import RunGroups
from probes.models.training.trainer import trainer_for
from probes.models.training.training_runs import TrainingRun
from probes.models.weights import stacks
from probes.models.weights.parameter_groups import parameters_of
from tests.support.llamas import (
    FAMILY,
    GROUPS,
    batches,
    built,
    disturbed,
    group,
    wanted,
)
from tests.support.trainings import LEARNERS as PLAIN
from tests.support.trainings import RUNS

N_THREADS = 3
LEARNERS = {
    **PLAIN,
    "lora": GradientLearner(rate=0.1, passes=3, weights="lora@all"),
}


@pytest.fixture(autouse=True)
def several_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(N_THREADS)
    yield
    torch.set_num_threads(before)


def test_results_keep_their_order_and_tasks_overlap() -> None:
    barrier = threading.Barrier(N_THREADS, timeout=30)  # breaks if two wait in turn

    def task(item: int) -> int:
        barrier.wait()
        return item * item

    assert run_in_threads(task, list(range(6)), n=N_THREADS) == [0, 1, 4, 9, 16, 25]


def test_a_single_task_and_a_single_thread_run_in_the_caller_s() -> None:
    here = threading.get_ident()
    assert run_in_threads(lambda _: threading.get_ident(), [0], n=N_THREADS) == [here]
    assert run_in_threads(lambda _: threading.get_ident(), [0, 1], n=1) == [here, here]


def test_each_task_computes_with_one_thread_and_later_ones_with_all() -> None:
    def n_threads(_: int) -> int:
        time.sleep(0.01)  # so that each thread gets one
        return torch.get_num_threads()

    assert run_in_threads(n_threads, list(range(6)), n=N_THREADS) == [1] * 6
    assert torch.get_num_threads() == N_THREADS
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(n_threads(0)))
    thread.start()
    thread.join()
    assert later == [N_THREADS]


@pytest.mark.parametrize("is_inference", [True, False])
@pytest.mark.parametrize("is_grad", [True, False])
def test_tasks_inherit_autograd_modes(is_inference: bool, is_grad: bool) -> None:
    def modes(_: int) -> tuple[bool, bool]:
        return torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    with torch.inference_mode(is_inference), torch.set_grad_enabled(is_grad):
        assert run_in_threads(modes, [0, 1], n=2) == [modes(0)] * 2


def test_the_first_error_is_raised_and_all_threads_come_back() -> None:
    def task(item: int) -> int:
        if item in (1, 3):
            raise ValueError(f"item {item}")
        return item

    with pytest.raises(ValueError, match="item 1"):
        run_in_threads(task, list(range(5)), n=N_THREADS)
    assert torch.get_num_threads() == N_THREADS


def test_tasks_that_check_end_early_when_another_fails() -> None:
    ended = []

    def task(item: int) -> None:
        if item == 0:
            raise ValueError("item 0")
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                raise_if_cancelled()
            except CancelledError:
                ended.append(item)
                raise
            time.sleep(0.001)

    with pytest.raises(ValueError, match="item 0"):
        run_in_threads(task, [0, 1, 2, 3], n=N_THREADS)
    assert set(ended) <= {1, 2, 3}
    assert ended
    raise_if_cancelled()  # this thread was not cancelled


def test_large_weights_and_gpus_run_one_task_at_a_time() -> None:
    cpu = torch.device("cpu")
    assert n_threads_for(threads.MAX_BYTES, cpu) == N_THREADS
    assert n_threads_for(threads.MAX_BYTES + 1, cpu) == 1
    assert n_threads_for(1, torch.device("cuda")) == 1


@pytest.mark.parametrize("most", [1, 12, 50, 4096])
@pytest.mark.parametrize("kind", FAMILY)
def test_passes_side_by_side_answer_whole_prompts(
    kind: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(inference.TOKENS_PER_PASS, "cpu", most)
    model = CausalLM(built(kind), None)
    groups = [*GROUPS, group(9, [4] * 20, 3), group(0, [3] * 9, 4), [[5, 4]]]
    for prompts, answers in zip(groups, model.log_probs_of_groups(groups), strict=True):
        logits = torch.stack([wanted(model.model, p) for p in prompts])
        np.testing.assert_allclose(answers, torch.log_softmax(logits, -1), atol=2e-6)


def test_passes_of_a_tree_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In as many threads as there are: after the prefix, or from the start if none."""
    monkeypatch.setitem(inference.TOKENS_PER_PASS, "cpu", 12)
    monkeypatch.setattr(inference, "MIN_TOKENS", 8)
    model = CausalLM(built("tied"), None)
    assert model.fast_path is not None
    places: list[bool] = []
    here, answer = threading.get_ident(), inference._answer

    def noted(*asked: object) -> object:
        places.append(threading.get_ident() == here)
        return answer(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(inference, "_answer", noted)
    before = model.n_forward
    model.next_token_log_probs(group(20, [4] * 19))
    assert places == [True] + [False] * 6
    assert model.n_forward - before == 7
    places.clear()
    model.next_token_log_probs(group(0, [4] * 18))
    assert places == [False] * 6


@given(
    shared=st.integers(0, 20),
    lengths=st.lists(st.integers(1, 30), min_size=2, max_size=40),
    most=st.integers(1, 100),
    least=st.integers(1, 50),
    n=st.integers(2, 16),
)
def test_an_even_cut_loses_no_prompt(
    shared: int, lengths: list[int], most: int, least: int, n: int
) -> None:
    tree = build_prefix_tree(0, group(shared, lengths))
    cut = tree.split_evenly(most, min_tokens=least, n_threads=n)
    parts = [part for batch in cut for part in batch]
    assert [place for p in parts for place in p.indices] == tree.indices
    assert [leaf for p in parts for leaf in p.suffixes] == tree.suffixes
    assert all(p.suffixes and p.prefix == tree.prefix for p in parts)
    assert (len(cut) == 1 and len(parts[0].suffixes) == 1) if tree.prefix else True


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every stack be of one, as if weights filled the cache."""
    monkeypatch.setattr(stacks, "STACKED_BYTES", {"cpu": 1})


@pytest.mark.parametrize("kind", FAMILY)
def test_members_asked_side_by_side_answer_as_a_stack_does(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = CausalLM(built(kind), None)
    stack = disturbed(parameters_of(model.model, "all"), n=5)
    prompts = group(20, [3, 5, 1, 4])
    together = model.log_probs_of_stack(stack, prompts)
    monkeypatch.setattr(stacks, "STACKED_BYTES", {"cpu": 1})
    np.testing.assert_allclose(
        model.log_probs_of_stack(stack, prompts), together, atol=2e-6
    )


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("name", LEARNERS)
def test_runs_in_threads_take_the_steps_of_runs_in_turn(name: str) -> None:
    model = CausalLM(built("tied"), None)
    trainer = trainer_for(model, LEARNERS[name].training, batches())
    assert [len(g) for g in trainer.groups(RUNS)] == [N_THREADS] * 2
    assert [len(s) for s in trainer.run_groups.stacks(RUNS)] == [1] * 6
    before = model.n_forward
    many = trainer.run(RUNS, 3)
    n_passes = model.n_forward - before
    torch.set_num_threads(1)
    assert [len(g) for g in trainer.groups(RUNS)] == [1] * 6
    ones = [trainer.run([run], 3) for run in RUNS]
    assert model.n_forward - before == 2 * n_passes
    assert many.failures == [failure for one in ones for failure in one.failures]
    for name_, weights in many.weights.items():
        assert torch.equal(weights, torch.cat([one.weights[name_] for one in ones]))


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("name", ["gd", "lora"])
def test_memory_is_checked_once_for_all_runs_at_once(name: str) -> None:
    """Also for a vanishing update, whose gradient is computed without another copy."""
    model = CausalLM(built("tied"), None)
    trainer = trainer_for(model, LEARNERS[name].training, batches())
    tiny = [TrainingRun(index=0, rate=1e-40, seed=0)] * 2
    with mock.patch.object(RunGroups, "require_memory") as asked:
        assert all("vanishes" in failure for failure in trainer.run(tiny, 1).failures)
        trainer.run(RUNS, 1)
        trainer.run(tiny[:1], 1)
    assert asked.call_args_list == [mock.call(2), mock.call(N_THREADS), mock.call(1)]


def test_training_checks_at_every_step_whether_it_was_cancelled() -> None:
    model = CausalLM(built("tied"), None)
    trainer = trainer_for(model, LEARNERS["sgd_fixed"].training, batches())
    looking = mock.Mock(side_effect=[None, None, CancelledError])
    before = model.n_forward
    with (
        mock.patch.object(training_loop, "raise_if_cancelled", looking),
        pytest.raises(CancelledError),
    ):
        trainer.run(RUNS[:1], 3)
    assert model.n_forward - before == 2
