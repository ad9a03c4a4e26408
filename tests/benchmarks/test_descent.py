"""GD sweeps against a plain loop over a Hugging Face model and torch.optim.

Four rates × four orders of ten demonstrations, one demonstration a step, 50 steps, and
200 queries asked after each training. The peer trains one configuration after the other
with torch.optim.SGD, restores the weights from memory, and asks queries in batches of
32: the loop of the published codes without their reloading of the model. Every rate is
the same work for it; it does the first, and its time counts four times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from probes.learners import GradientLearner
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.training.trainer import trainer_for
from probes.models.training.training_runs import TrainingRun
from probes.models.weights.parameter_groups import parameters_of
from tests.benchmarks.llamas import Prompts, llama
from tests.benchmarks.loops import Orders, batches_of, last_logits, sweep
from tests.benchmarks.quick import QUICK, least, narrowed
from tests.benchmarks.sides import Table

RATES = (0.0003, 0.001, 0.003, 0.01)
N_ORDERS, N_DEMONSTRATIONS, N_PASSES = 4, 10, narrowed(5, 1)
N_QUERIES = narrowed(200, 24)
WANTED = {"last": 20.0, "middle": 5.0, "first": 3.0}
PARTS = [f"{role}@{place}" for place in WANTED for role in ("W_Q", "W_K", "W_V")]
PEER = "HF, torch.optim"


@pytest.fixture(scope="module")
def small() -> CausalLM:
    return llama("7 M")


def plainly(
    model: Any,
    learner: GradientLearner,
    given: Prompts,
    orders: Orders,
    *,
    rates: Sequence[float],
) -> Any:
    """Do so one configuration after the other: the peer's way."""
    moving: dict[str, Any] = parameters_of(model, learner.weights)
    before = {name: p.detach().clone() for name, p in moving.items()}
    size, answers = learner.batch_size or len(orders[0]), []
    assert learner.passes is not None
    for rate in rates:
        for order in orders:
            for name, p in moving.items():
                p.requires_grad_(True).data.copy_(before[name])
            optimizer = torch.optim.SGD(moving.values(), lr=rate)
            for _ in range(learner.passes):
                for start in range(0, len(order), size):
                    optimizer.zero_grad()
                    _loss(model, given, order[start : start + size]).backward()
                    optimizer.step()
            answers.append(_ask(model, given))
    for name, p in moving.items():
        p.requires_grad_(False).copy_(before[name])
        p.grad = None
    return np.stack(answers)


def _loss(model: Any, given: Prompts, picked: list[int]) -> Any:
    logits = last_logits(model, [[0, *given.demonstrations[i]] for i in picked])
    labels = torch.tensor([given.label(i) for i in picked])
    return torch.nn.functional.cross_entropy(logits, labels)


def _ask(model: Any, given: Prompts) -> Any:
    queries, answers = [[0, *q] for q in given.queries], []
    with torch.inference_mode():
        for start in range(0, len(queries), 32):
            answers.append(last_logits(model, queries[start : start + 32]))
    log_probs = torch.log_softmax(torch.cat(answers), -1)
    return log_probs[:, list(given.labels)].numpy()


def drawn(n_demonstrations: int = N_DEMONSTRATIONS) -> tuple[Prompts, Orders]:
    rng = np.random.default_rng(1)
    given = Prompts.draw(n_demonstrations, N_QUERIES)
    orders = [rng.permutation(n_demonstrations).tolist() for _ in range(N_ORDERS)]
    return given, orders


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("weights", ["all", *PARTS])
def test_a_sweep(table: Table, small: CausalLM, weights: str, threads: int) -> None:
    if threads == 2 and weights not in ("all", "W_V@last", "W_V@middle", "W_V@first"):
        pytest.skip("W_V tells of two threads; the others take as long again")
    given, orders = drawn()
    learner = GradientLearner(
        rate=RATES[0], passes=N_PASSES, batch_size=1, weights=weights
    )
    table.compare(
        f"GD sweep, Llama 7 M, {weights}",
        lambda: sweep(small, learner, given, orders, rates=RATES),
        threads=threads,
        peer=(
            PEER,
            lambda: plainly(small.model, learner, given, orders, rates=RATES[:1]),
        ),
        wanted=WANTED.get(weights.partition("@")[2], 2.0),
        rounds=least(1),
        part=(1, len(RATES)),
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_whole_model_gd_on_a_larger_model(table: Table, threads: int) -> None:
    """Three full-batch steps of eight demonstrations, one configuration."""
    model = llama("100 M")
    given, _ = drawn(8)
    orders = [list(range(8))]
    n_passes = narrowed(3, 1)
    learner = GradientLearner(rate=0.001, passes=n_passes)
    training = trainer_for(model, learner.training, batches_of(given, orders))
    runs = [TrainingRun(index=0, rate=0.001, seed=0)]
    table.compare(
        "GD steps, Llama 100 M, all, full batch of 8",
        lambda: training.run(runs, n_passes),
        threads=threads,
        share_wanted=0.6,
        rounds=least(2),
    )


@pytest.mark.skipif(QUICK, reason="it takes a minute; without PROBES_QUICK it runs")
@pytest.mark.parametrize("threads", [1])
def test_a_sweep_on_a_larger_model(table: Table, threads: int) -> None:
    """Two rates, full batch of eight, three steps, and 40 queries after each."""
    model = llama("100 M")
    given = Prompts.draw(8, 40)
    rates = (0.0003, 0.001)
    learner = GradientLearner(rate=rates[0], passes=3)
    orders = [list(range(8))]
    table.compare(
        "GD sweep, Llama 100 M, all, full batch of 8",
        lambda: sweep(model, learner, given, orders, rates=rates),
        threads=threads,
        peer=(
            PEER,
            lambda: plainly(model.model, learner, given, orders, rates=rates),
        ),
        rounds=least(1),
    )
