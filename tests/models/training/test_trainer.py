"""Stacked training takes the steps of a plain loop over torch.optim, run by run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from probes.cell import Settings
from probes.data.datasets import read_rows
from probes.data.prompt_encoding import EncodedPrompts
from probes.data.text_tasks import TextTask, draw_text
from probes.data.tokenization import Verbalized, verbalize
from probes.learners import GradientLearner
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.frozen_layers import FrozenLayers
from probes.models.causal_lm.loading import load_causal_lm
from probes.models.training import autograd_backend
from probes.models.training.autograd_backend import AutogradBackend
from probes.models.training.label_batches import encode_label_batches
from probes.models.training.llama_backend import LlamaBackend
from probes.models.training.optimizers import StackedOptimizer
from probes.models.training.trainer import trainer_for
from probes.models.training.training_runs import TrainedWeights, TrainingRun, failure_of
from probes.models.weights import stacks
from probes.models.weights.gradients import LazyGradient, materialize
from probes.models.weights.parameter_groups import lowest_layer, parameters_of
from probes.run.grid import MODELS, dataset_named
from tests.support.tiny_models import tiny
from tests.support.trainings import LEARNERS, RUNS

SETTINGS = Settings(n_sets=3, n_queries=4, n_calibration=6, dtype="float64")

ROUNDING = {"gd": 1e-10, "adam": 4e-8}
"""Adam divides by |g| + 1e-8: a gradient of 0 that is rounded to 1e-16 moves a weight
by .3 × 1e-16 / 1e-8 = 3e-9 a step, and these runs take 12 steps."""


@pytest.fixture(scope="module")
def llama() -> CausalLM:
    return load_causal_lm(MODELS.get("hmm_llama"), SETTINGS)


@pytest.fixture(scope="module")
def task() -> TextTask:
    rows = read_rows(dataset_named("hmm"), None)
    return draw_text(rows, SETTINGS, n_demonstrations=4)


@pytest.fixture(scope="module")
def labels(llama: CausalLM, task: TextTask) -> Verbalized:
    return verbalize(llama.tokenizer, task)


def plainly(
    model: CausalLM,
    learner: GradientLearner,
    task: TextTask,
    labels: Verbalized,
    run: TrainingRun,
) -> dict[str, torch.Tensor]:
    """Train as one would by hand: one example at a time, torch.optim, then restore."""
    moving: dict[str, Any] = parameters_of(model.model, learner.weights)
    before = {n: p.detach().clone() for n, p in moving.items()}
    for p in moving.values():
        p.requires_grad_(True)
    kind = torch.optim.Adam if learner.optimizer == "adam" else torch.optim.SGD
    optimizer = kind(moving.values(), lr=run.rate)
    rng = np.random.default_rng(run.seed)
    shown = task.demonstrations[run.index]
    size = learner.batch_size or len(shown)
    assert learner.passes is not None
    for turn in range(learner.passes):
        order = np.arange(len(shown))
        if turn and learner.reshuffled:
            order = rng.permutation(len(shown))
        for start in range(0, len(shown), size):
            optimizer.zero_grad()
            for i in order[start : start + size]:
                ids = model.tokenizer([task.alone(shown[i])])["input_ids"]
                logits = model.model(torch.tensor(ids)).logits[0, -1]
                token = labels.first_tokens[shown[i].label]
                (-torch.log_softmax(logits, -1)[token] / size).backward()
            optimizer.step()
    after = {n: p.detach().clone() for n, p in moving.items()}
    for name, p in moving.items():
        p.requires_grad_(False).copy_(before[name])
        p.grad = None
    return after


def trained(
    model: CausalLM, learner: GradientLearner, task: TextTask, labels: Verbalized
) -> list[dict[str, torch.Tensor]]:
    batches = encode_label_batches(
        model, EncodedPrompts.of(model, task, labels), task.demonstrations
    )
    training = trainer_for(model, learner.training, batches)
    kind = AutogradBackend if model.fast_path is None else LlamaBackend
    assert type(training.backend) is kind
    found: list[dict[str, torch.Tensor]] = []
    assert learner.passes is not None
    for group in training.groups(RUNS):
        done = training.run(group, learner.passes)
        done.require_usable()
        found += [done.of(place) for place in range(len(group))]
    return found


@pytest.mark.parametrize("backend", ["llama", "autograd", "autograd_stacked"])
@pytest.mark.parametrize("name", LEARNERS)
def test_every_run_takes_the_steps_of_a_plain_loop(
    name: str,
    backend: str,
    llama: CausalLM,
    task: TextTask,
    labels: Verbalized,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if backend != "llama":
        monkeypatch.setitem(llama.__dict__, "fast_path", None)
    n_tokens = 10**9 if backend == "autograd_stacked" else 0
    monkeypatch.setattr(autograd_backend, "STACKED_TOKENS", n_tokens)
    learner = LEARNERS[name]
    for run, found in zip(RUNS, trained(llama, learner, task, labels), strict=True):
        wanted = plainly(llama, learner, task, labels, run)
        for tensor in wanted:
            np.testing.assert_allclose(
                found[tensor], wanted[tensor], atol=ROUNDING[learner.optimizer]
            )


def test_answers_of_unlike_length_share_one_example_s_weight(
    llama: CausalLM, task: TextTask, labels: Verbalized
) -> None:
    longer = replace(
        labels,
        answers=tuple((*a, 5) if i % 2 else a for i, a in enumerate(labels.answers)),
    )
    batches = encode_label_batches(
        llama, EncodedPrompts.of(llama, task, longer), task.demonstrations
    )
    assert sorted({len(a) for a in longer.answers}) == [1, 2]
    np.testing.assert_allclose(batches.shares.sum(-1), 1.0)


def test_stacks_keep_to_their_bytes(
    llama: CausalLM,
    task: TextTask,
    labels: Verbalized,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches = encode_label_batches(
        llama, EncodedPrompts.of(llama, task, labels), task.demonstrations
    )
    training = trainer_for(llama, LEARNERS["gd"].training, batches)
    held = sum(p.numel() * 8 for p in training.start.values())
    monkeypatch.setattr(stacks, "STACKED_BYTES", {"cpu": 2 * held + 1})
    assert [len(g) for g in training.groups(RUNS)] == [2, 2, 2]
    monkeypatch.setattr(stacks, "STACKED_BYTES", {"cpu": held - 1})
    assert [len(g) for g in training.groups(RUNS)] == [1] * 6


def test_a_run_that_diverges_spoils_no_other(
    llama: CausalLM, task: TextTask, labels: Verbalized
) -> None:
    batches = encode_label_batches(
        llama, EncodedPrompts.of(llama, task, labels), task.demonstrations
    )
    training = trainer_for(llama, LEARNERS["gd"].training, batches)
    wild = TrainingRun(index=0, rate=1e200, seed=0)
    both, alone = training.run([wild, RUNS[0]], 3), training.run([RUNS[0]], 3)
    assert "diverged" in both.failures[0]
    assert not both.failures[1]
    for name, weights in alone.of(0).items():
        np.testing.assert_allclose(both.of(1)[name], weights, atol=1e-10)


def test_a_trained_group_refuses_a_failed_run() -> None:
    from probes.errors import NumericsError

    with pytest.raises(NumericsError, match="diverged"):
        TrainedWeights(weights={}, failures=["", "It diverged."]).require_usable()


@pytest.mark.parametrize("kind", ["grouped_queries", "tied", "sliding", "neox", "gptj"])
def test_beginning_at_a_layer_ends_as_the_whole_model_does(kind: str) -> None:
    model = tiny(kind).double()
    ids = torch.randint(1, 64, (3, 12))
    whole = model(ids).logits
    replay = FrozenLayers(model, 1)
    with replay.beginning_with(replay.record(ids)):
        above = model(torch.zeros_like(ids)).logits
    assert torch.equal(model(ids).logits, whole)
    np.testing.assert_allclose(above.detach(), whole.detach(), atol=1e-12)


def test_the_lowest_trained_layer_is_known() -> None:
    assert lowest_layer(["model.layers.3.a", "model.layers.2.b"]) == 2
    assert lowest_layer(["model.layers.3.a", "model.norm.weight"]) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_last_step_that_diverges_is_noticed(value: float) -> None:
    """Every loss was finite before it."""
    start = {"w": torch.zeros(3, 2)}
    moved = {"w": torch.ones(3, 2)}
    options: dict[str, Any] = {"is_finite": True, "largest_gradient": lambda: 1.0}
    assert failure_of(RUNS[0], moved, start, **options) == ""
    moved["w"][1, 1] = value
    assert "diverged" in failure_of(RUNS[0], moved, start, **options)


@pytest.mark.parametrize("name", ["sgd_pairs", "adam", "gd_middle_W_V"])
def test_a_vanishing_update_reports_how_large_its_gradient_is(
    name: str, llama: CausalLM, task: TextTask, labels: Verbalized
) -> None:
    """It is the first step's; autograd and one plain loss have the same."""
    learner = LEARNERS[name]
    batches = encode_label_batches(
        llama, EncodedPrompts.of(llama, task, labels), task.demonstrations
    )
    tiny_rate = TrainingRun(index=1, rate=1e-40, seed=0)
    (failure,) = (
        trainer_for(llama, learner.training, batches).run([tiny_rate], 2).failures
    )
    moving: dict[str, Any] = parameters_of(llama.model, learner.weights)
    for p in moving.values():
        p.requires_grad_(True)
    shown = task.demonstrations[1][: learner.batch_size]
    for example in shown:
        ids = llama.tokenizer([task.alone(example)])["input_ids"]
        token = labels.first_tokens[example.label]
        log_probs = torch.log_softmax(llama.model(torch.tensor(ids)).logits[0, -1], -1)
        (-log_probs[token] / len(shown)).backward()
    largest = max(float(p.grad.abs().max()) for p in moving.values())
    for p in moving.values():
        p.requires_grad_(False).grad = None
    assert f"although the gradient is up to {largest:.2g}." in failure


def product(n_runs: int, d_in: int, dtype: torch.dtype, is_tied: bool) -> LazyGradient:
    """Draw a gradient that is not computed; if it is tied, some rows come twice."""
    torch.manual_seed(0)
    stack = () if n_runs == 1 else (n_runs,)
    rows = torch.randint(5, (*stack, 7)) if is_tied else None
    return LazyGradient(
        torch.randn(*stack, 5, 3, dtype=dtype),
        torch.randn(*stack, 3, d_in, dtype=dtype),
        rows,
        torch.randn(*stack, 7, d_in, dtype=dtype) if is_tied else None,
    )


def after_two_steps(
    optimizer: str, gradient: LazyGradient | torch.Tensor, wide: torch.dtype
) -> torch.Tensor:
    size = materialize(gradient).shape
    n_runs = size[0] if len(size) == 3 else 1
    rates = torch.linspace(0.1, 0.3, n_runs, dtype=torch.float64)
    stacked = StackedOptimizer(optimizer=optimizer, rates=rates)
    parameters = {"w": torch.ones(size, dtype=wide)}
    for _ in range(2):
        stacked.begin_step()
        given = gradient.clone() if isinstance(gradient, torch.Tensor) else gradient
        stacked.move(parameters, "w", given)
    return parameters["w"]


@pytest.mark.parametrize("n_runs", [1, 3])
def test_a_rate_that_is_no_float32_diverges(n_runs: int) -> None:
    size = (4, 8) if n_runs == 1 else (n_runs, 4, 8)
    rates = torch.full((n_runs,), 1e200, dtype=torch.float64)
    parameters = {"w": torch.ones(size)}
    stacked = StackedOptimizer(optimizer="gd", rates=rates)
    stacked.begin_step()
    stacked.move(parameters, "w", torch.full(size, 10.0))
    assert not bool(torch.isfinite(parameters["w"]).any())


@pytest.mark.parametrize("is_tied", [False, True])
@pytest.mark.parametrize("n_runs", [1, 3])
@pytest.mark.parametrize("optimizer", ["gd", "adam"])
def test_a_product_moves_weights_as_its_gradient_does(
    optimizer: str, n_runs: int, is_tied: bool
) -> None:
    given = product(n_runs, 8, torch.float64, is_tied)
    found = after_two_steps(optimizer, given, torch.float64)
    wanted = after_two_steps(optimizer, materialize(given), torch.float64)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("optimizer", "d_in", "dtype", "n_computed"),
    [
        ("gd", 8, torch.float32, 0),
        ("gd", 9, torch.float32, 2),
        ("gd", 8, torch.bfloat16, 2),
        ("adam", 8, torch.float32, 2),
    ],
)
def test_a_gradient_is_computed_only_where_it_is_needed(
    optimizer: str, d_in: int, dtype: torch.dtype, n_computed: int
) -> None:
    given = product(2, d_in, dtype, False)
    with mock.patch.object(LazyGradient, "compute", autospec=True) as computing:
        computing.side_effect = lambda own: own.left @ own.right
        after_two_steps(optimizer, given, torch.float32)
    assert computing.call_count == n_computed + 1  # once for its size
