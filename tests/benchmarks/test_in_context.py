"""ICL scoring against lm-evaluation-harness: 200 queries, two labels of one token.

See ``lm_eval_peer`` for how the peer is run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from probes.models.causal_lm.causal_lm import CausalLM
from tests.benchmarks.llamas import Prompts, llama
from tests.benchmarks.lm_eval_peer import harness, quickest
from tests.benchmarks.loops import last_logits
from tests.benchmarks.quick import least, narrowed
from tests.benchmarks.sides import Table

# The peer's own imports warn of what is none of ours.
pytestmark = pytest.mark.filterwarnings("ignore")
__all__ = ["harness"]

WANTED = {("7 M", 8): 15.0, ("7 M", 32): 40.0, ("100 M", 8): 8.0, ("100 M", 32): 25.0}
N_QUERIES = narrowed(200, 24)
PARTS = {"7 M": 1, "100 M": narrowed(8, 2)}
"""The peer answers one part of the prompts: in full it takes a quarter of an hour."""


@pytest.fixture(scope="module", params=["7 M", "100 M"])
def sized(request: pytest.FixtureRequest) -> tuple[str, CausalLM]:
    size: str = request.param
    return size, llama(size)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n_demonstrations", [0, 8, 32])
def test_scoring_in_context(
    table: Table,
    harness: Callable[..., Any],
    sized: tuple[str, CausalLM],
    n_demonstrations: int,
    threads: int,
) -> None:
    size, model = sized
    if size == "100 M" and n_demonstrations != 8 and threads == 2:
        pytest.skip("8 demonstrations tell of two threads; others take minutes more")
    given = Prompts.draw(n_demonstrations, N_QUERIES)
    prompts, labels = given.in_context(), list(given.labels)
    parts = PARTS[size] if n_demonstrations else 1
    some = prompts[: len(prompts) // parts]

    def ours() -> Any:
        return model.next_token_log_probs(prompts)[:, labels]

    table.compare(
        f"ICL, Llama {size}, {n_demonstrations} demonstrations",
        ours,
        threads=threads,
        peer=("lm-eval", quickest(harness, model, some, labels)),
        wanted=WANTED.get((size, n_demonstrations)),
        rounds=least(3 if size == "7 M" and n_demonstrations < 32 else 1),
        part=(1, parts),
    )


def test_prefill(table: Table) -> None:
    """One long prompt: products as large as they get."""
    model = llama("100 M")
    prompt = Prompts.draw(32, 1).in_context()
    for threads in (1, 2):
        table.compare(
            "ICL prefill, Llama 100 M, 32 demonstrations",
            lambda: model.next_token_log_probs(prompt),
            threads=threads,
            share_wanted=0.7,
            rounds=least(3),
        )


@pytest.mark.parametrize("threads", [1, 2])
def test_ten_orders(table: Table, threads: int) -> None:
    """Order sensitivity: 10 orders of 8 demonstrations, 200 queries each."""
    import torch

    model, given = llama("7 M"), Prompts.draw(8, N_QUERIES)
    rng = np.random.default_rng(0)
    orders = [rng.permutation(8).tolist() for _ in range(10)]
    groups = [given.in_context(order) for order in orders]
    labels = list(given.labels)

    def ours() -> Any:
        return np.stack([a[:, labels] for a in model.log_probs_of_groups(groups)])

    def peer() -> Any:
        answers = []
        with torch.inference_mode():
            for start in range(0, N_QUERIES, 16):
                answers.append(last_logits(model.model, groups[0][start : start + 16]))
        found = torch.log_softmax(torch.cat(answers), -1)[:, labels].numpy()
        return found[None]

    table.compare(
        "ICL after 10 orders, Llama 7 M, 8 demonstrations",
        ours,
        threads=threads,
        peer=("HF, batches of 16", peer),
        rounds=least(1),
        part=(1, 10),
    )
