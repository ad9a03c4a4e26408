"""GD's other losses: among the label words, and after the other demonstrations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from probes.cell import Settings
from probes.data.datasets import read_rows
from probes.data.prompt_encoding import EncodedPrompts
from probes.data.text_tasks import Example, TextTask, draw_text
from probes.errors import DataError
from probes.learners import GradientLearner
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.loading import load_causal_lm
from probes.models.training import gradient_accumulation
from probes.models.training.label_batches import encode_label_batches
from probes.models.training.trainer import trainer_for
from probes.models.training.training_runs import TrainingRun
from probes.models.weights.parameter_groups import parameters_of
from probes.observations.request import Request
from probes.run.grid import MODELS, dataset_named

SETTINGS = Settings(n_sets=2, n_queries=4, n_calibration=6, dtype="float64")
RUNS = [TrainingRun(index=s, rate=0.02, seed=s) for s in range(2)]
"""At a rate of .1, SGD amplifies a relative change of 1e-15 of the weights to 1e-7."""
LEARNERS = {
    "label words": GradientLearner(rate=0.1, passes=2, among="label words"),
    "after the others": GradientLearner(rate=0.1, passes=2, after="the others"),
    "both, W_V": GradientLearner(
        rate=0.1, passes=2, among="label words", after="the others",
        weights="W_V@middle"
    ),
    "label words, SGD": GradientLearner(
        rate=0.1, passes=2, among="label words", batch_size=1
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def llama() -> CausalLM:
    return load_causal_lm(MODELS.get("hmm_llama"), SETTINGS)


@pytest.fixture(scope="module")
def task() -> TextTask:
    return draw_text(
        read_rows(dataset_named("hmm"), None), SETTINGS, n_demonstrations=4
    )


def prompt_of(learner: GradientLearner, task: TextTask, s: int, i: int) -> str:
    shown: tuple[Example, ...] = task.demonstrations[s]
    if learner.after == "nothing":
        return task.alone(shown[i])
    return task.in_context([e for j, e in enumerate(shown) if j != i], shown[i])


def plainly(
    model: CausalLM, learner: GradientLearner, task: TextTask, run: TrainingRun
) -> dict[str, torch.Tensor]:
    """Train as one would by hand: one example at a time, torch.optim, then restore."""
    words = EncodedPrompts.of(model, task).labels.first_tokens
    moving: dict[str, Any] = parameters_of(model.model, learner.weights)
    before = {n: p.detach().clone() for n, p in moving.items()}
    for p in moving.values():
        p.requires_grad_(True)
    optimizer = torch.optim.SGD(moving.values(), lr=run.rate)
    shown = task.demonstrations[run.index]
    size = learner.batch_size or len(shown)
    for start in [*range(0, len(shown), size)] * (learner.passes or 0):
        optimizer.zero_grad()
        for i in range(start, start + size):
            text = prompt_of(learner, task, run.index, i)
            ids = model.tokenizer([text])["input_ids"]
            logits = model.model(torch.tensor(ids)).logits[0, -1]
            right = shown[i].label
            if learner.among == "label words":
                loss = -torch.log_softmax(logits[words], -1)[right]
            else:
                loss = -torch.log_softmax(logits, -1)[words[right]]
            (loss / size).backward()
        optimizer.step()
    after = {n: p.detach().clone() for n, p in moving.items()}
    for name, p in moving.items():
        p.requires_grad_(False).copy_(before[name])
        p.grad = None
    return after


def trained(
    model: CausalLM, learner: GradientLearner, task: TextTask
) -> list[dict[str, torch.Tensor]]:
    batches = encode_label_batches(
        model,
        EncodedPrompts.of(model, task),
        task.demonstrations,
        after=learner.after,
        among=learner.among,
    )
    training = trainer_for(model, learner.training, batches)
    found: list[dict[str, torch.Tensor]] = []
    for group in training.groups(RUNS):
        done = training.run(group, learner.passes or 0)
        done.require_usable()
        found += [done.of(place) for place in range(len(group))]
    return found


@pytest.mark.parametrize("backend", ["llama", "autograd"])
@pytest.mark.parametrize("name", LEARNERS)
def test_every_loss_takes_the_steps_of_a_plain_loop(
    name: str,
    backend: str,
    llama: CausalLM,
    task: TextTask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if backend == "autograd":
        monkeypatch.setitem(llama.__dict__, "fast_path", None)
    learner = LEARNERS[name]
    usual = trained(llama, replace(learner, among="vocabulary", after="nothing"), task)
    for run, found, other in zip(
        RUNS, trained(llama, learner, task), usual, strict=True
    ):
        wanted = plainly(llama, learner, task, run)
        for tensor in wanted:
            np.testing.assert_allclose(found[tensor], wanted[tensor], atol=1e-10)
        assert any(not torch.allclose(found[n], other[n]) for n in wanted)


@pytest.mark.parametrize("backend", ["llama", "autograd"])
@pytest.mark.parametrize("optimizer", ["gd", "adam"])
@pytest.mark.parametrize("weights", ["all", "W_V@middle", "lora@all"])
def test_a_large_step_in_parts_is_the_whole_step(
    optimizer: Any,
    weights: str,
    backend: str,
    llama: CausalLM,
    task: TextTask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if backend == "autograd":
        monkeypatch.setitem(llama.__dict__, "fast_path", None)
    learner = GradientLearner(rate=0.1, passes=2, optimizer=optimizer, weights=weights)
    whole = trained(llama, learner, task)
    parts: list[int] = []
    split = torch.split
    monkeypatch.setattr(gradient_accumulation, "MOST_TOKENS", 5)
    monkeypatch.setattr(
        torch, "split",
        lambda *of, **how: (parts.append(len(split(*of, **how))), split(*of, **how))[1],
    )  # fmt: skip
    for found, wanted in zip(trained(llama, learner, task), whole, strict=True):
        for name, weight in wanted.items():
            np.testing.assert_allclose(found[name], weight, atol=1e-7)
    assert max(parts) > 1


def test_the_order_matters_only_after_the_other_demonstrations() -> None:
    def asked(learner: GradientLearner) -> Request:
        return Request(
            learner=learner,
            model=MODELS.get("hmm_llama"),
            dataset=dataset_named("hmm"),
            n_demonstrations=4,
            settings=SETTINGS,
            order=3,
        )

    assert asked(LEARNERS["label words"]).order == 0
    assert asked(LEARNERS["after the others"]).order == 3


def test_a_loss_among_label_words_needs_words_that_begin_differently(
    llama: CausalLM, task: TextTask
) -> None:
    prompts = EncodedPrompts.of(llama, task)
    alike = replace(
        prompts, labels=replace(prompts.labels, ends=(1,) * len(task.answers))
    )
    with pytest.raises(DataError, match="labels begin alike. Expected a closed set"):
        encode_label_batches(llama, alike, task.demonstrations, among="label words")


def test_training_after_the_others_costs_as_many_tokens_more() -> None:
    from probes.observations.learner_cost import PromptSizes

    sizes = PromptSizes(
        n_sets=2, n_queries=3, n_calibration=3, n_demonstrations=4,
        demonstration_tokens=20.0, query_tokens=5.0, n_layers=4,
    )  # fmt: skip
    plain = GradientLearner(rate=0.1, passes=2).training_work(sizes, 2, 2)
    after = LEARNERS["after the others"].training_work(sizes, 2, 2)
    assert after.learned == 4 * plain.learned
    assert after.steps == plain.steps
