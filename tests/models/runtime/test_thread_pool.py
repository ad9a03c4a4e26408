"""Works side by side in threads come to what they come to in turn."""

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
from probes.models.llama.prefix_tree import tree_of
from probes.models.runtime import thread_pool as threads
from probes.models.runtime.thread_pool import abreast, n_abreast, require_wanted
from probes.models.training import trainer as training_module
from probes.models.training.lora import training_of
from probes.models.training.trainer import Training
from probes.models.training.training_runs import Trial
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
from tests.support.trainings import TRIALS

N_THREADS = 3
LEARNERS = {
    **PLAIN,
    "lora": GradientLearner(rates=(0.1,), passes=(3,), weights="lora@all"),
}


@pytest.fixture(autouse=True)
def several_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(N_THREADS)
    yield
    torch.set_num_threads(before)


def test_works_keep_their_order_and_overlap() -> None:
    barrier = threading.Barrier(N_THREADS, timeout=30)  # breaks if two wait in turn

    def work(item: int) -> int:
        barrier.wait()
        return item * item

    assert abreast(work, list(range(6)), n=N_THREADS) == [0, 1, 4, 9, 16, 25]


def test_a_lone_work_and_one_thread_stay_where_they_are() -> None:
    here = threading.get_ident()
    assert abreast(lambda _: threading.get_ident(), [0], n=N_THREADS) == [here]
    assert abreast(lambda _: threading.get_ident(), [0, 1], n=1) == [here, here]


def test_each_computes_with_one_thread_and_others_with_all_again() -> None:
    def n_threads(_: int) -> int:
        time.sleep(0.01)  # so that each thread gets one
        return torch.get_num_threads()

    assert abreast(n_threads, list(range(6)), n=N_THREADS) == [1] * 6
    assert torch.get_num_threads() == N_THREADS
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(n_threads(0)))
    thread.start()
    thread.join()
    assert later == [N_THREADS]


@pytest.mark.parametrize("is_inference", [True, False])
@pytest.mark.parametrize("is_grad", [True, False])
def test_modes_go_along(is_inference: bool, is_grad: bool) -> None:
    def modes(_: int) -> tuple[bool, bool]:
        return torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    with torch.inference_mode(is_inference), torch.set_grad_enabled(is_grad):
        assert abreast(modes, [0, 1], n=2) == [modes(0)] * 2


def test_the_first_that_fails_is_told_of_and_all_threads_come_back() -> None:
    def work(item: int) -> int:
        if item in (1, 3):
            raise ValueError(f"item {item}")
        return item

    with pytest.raises(ValueError, match="item 1"):
        abreast(work, list(range(5)), n=N_THREADS)
    assert torch.get_num_threads() == N_THREADS


def test_works_that_look_end_early_when_another_fails() -> None:
    ended = []

    def work(item: int) -> None:
        if item == 0:
            raise ValueError("item 0")
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                require_wanted()
            except CancelledError:
                ended.append(item)
                raise
            time.sleep(0.001)

    with pytest.raises(ValueError, match="item 0"):
        abreast(work, [0, 1, 2, 3], n=N_THREADS)
    assert set(ended) <= {1, 2, 3}
    assert ended
    require_wanted()  # nobody waits for this thread, and nothing was interrupted


def test_large_weights_and_gpus_work_on_one_thing_at_a_time() -> None:
    cpu = torch.device("cpu")
    assert n_abreast(threads.MOST_BYTES, cpu) == N_THREADS
    assert n_abreast(threads.MOST_BYTES + 1, cpu) == 1
    assert n_abreast(1, torch.device("cuda")) == 1


@pytest.mark.parametrize("most", [1, 12, 50, 4096])
@pytest.mark.parametrize("kind", FAMILY)
def test_passes_side_by_side_answer_whole_prompts(
    kind: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(inference.TOKENS_A_PASS, "cpu", most)
    model = CausalLM(built(kind), None)
    groups = [*GROUPS, group(9, [4] * 20, 3), group(0, [3] * 9, 4), [[5, 4]]]
    for prompts, answers in zip(groups, model.log_probs_of_groups(groups), strict=True):
        logits = torch.stack([wanted(model.model, p) for p in prompts])
        np.testing.assert_allclose(answers, torch.log_softmax(logits, -1), atol=2e-6)


def test_passes_of_a_tree_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the stem, so many as there are threads; without one, from the start."""
    monkeypatch.setitem(inference.TOKENS_A_PASS, "cpu", 12)
    monkeypatch.setattr(inference, "LEAST_TOKENS", 8)
    model = CausalLM(built("tied"), None)
    assert model.written is not None
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
    tree = tree_of(0, group(shared, lengths))
    cut = tree.evenly(most, least=least, n=n)
    parts = [part for batch in cut for part in batch]
    assert [place for p in parts for place in p.places] == tree.places
    assert [leaf for p in parts for leaf in p.leaves] == tree.leaves
    assert all(p.leaves and p.stem == tree.stem for p in parts)
    assert (len(cut) == 1 and len(parts[0].leaves) == 1) if tree.stem else True


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
def test_trials_side_by_side_take_the_steps_of_trials_in_turn(name: str) -> None:
    model = CausalLM(built("tied"), None)
    training = training_of(model, LEARNERS[name].training, batches())
    assert [len(g) for g in training.groups(TRIALS)] == [N_THREADS] * 2
    assert [len(s) for s in training.stacks(TRIALS)] == [1] * 6
    before = model.n_forward
    many = training.run(TRIALS, 3)
    n_passes = model.n_forward - before
    torch.set_num_threads(1)
    assert [len(g) for g in training.groups(TRIALS)] == [1] * 6
    ones = [training.run([trial], 3) for trial in TRIALS]
    assert model.n_forward - before == 2 * n_passes
    assert many.faults == [fault for one in ones for fault in one.faults]
    for name_, weights in many.weights.items():
        assert torch.equal(weights, torch.cat([one.weights[name_] for one in ones]))


@pytest.mark.usefixtures("alone")
def test_losses_side_by_side_are_those_of_trials_in_turn() -> None:
    model = CausalLM(built("grouped_queries"), None)
    training = Training(model, LEARNERS["sgd_fixed"].training, batches())
    many, _ = training.losses(TRIALS, (1, 3), batches())
    torch.set_num_threads(1)
    ones = [training.losses([trial], (1, 3), batches())[0] for trial in TRIALS]
    assert np.array_equal(many, np.concatenate(ones))


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("name", ["gd", "lora"])
def test_room_is_asked_for_once_for_all_that_run_at_once(name: str) -> None:
    """A vanishing update included: its gradient is found without another copy."""
    model = CausalLM(built("tied"), None)
    training = training_of(model, LEARNERS[name].training, batches())
    tiny = [Trial(index=0, rate=1e-40, seed=0)] * 2
    with mock.patch.object(training, "_require_room") as asked:
        assert all("vanishes" in fault for fault in training.run(tiny, 1).faults)
        training.losses(TRIALS, (1,), batches())
        training.run(tiny[:1], 1, after_pass=lambda *_: None)
    assert asked.call_args_list == [mock.call(2), mock.call(N_THREADS), mock.call(1)]


def test_training_looks_at_every_step_whether_it_is_wanted() -> None:
    training = Training(
        CausalLM(built("tied"), None), LEARNERS["sgd_fixed"].training, batches()
    )
    looking = mock.Mock(side_effect=[None, None, CancelledError])
    before = training.model.n_forward
    with (
        mock.patch.object(training_module, "require_wanted", looking),
        pytest.raises(CancelledError),
    ):
        training.run(TRIALS[:1], 3)
    assert training.model.n_forward - before == 2
