"""Two runs of one command are one run: bit for bit, and by verdict across threads.

Held on one machine: the same command twice, without workers and with two, and with one
thread and two. Models below 32 MB run in one thread whatever is asked (see ``pool``),
so that answers in two threads are compared apart, where they agree to rounding. Other
machines and GPUs were not tried.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import fixtures.datasets
import fixtures.models  # noqa: F401 - fills the registry
from fixtures.observations import GRADIENT_LEARNERS
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.grid import DATASETS, MODELS
from probes.learners import InContext
from probes.networks import pool
from probes.request import Request
from probes.tasks import Cell, Settings
from tests.running import Ran, run

SMALL = ("--sets", "6", "--queries", "20", "--calibration", "6", "--orders", "3")
GRID = (
    "--models", "hmm_llama,learned_lsa_5,constructed_gd_1", "--datasets", "hmm,linear",
    "--demos", "8", "--raw",
)  # fmt: skip
CLAIMS = (
    "claims/test_output.py::test_same_top_tokens",
    "claims/test_order.py",
    "claims/test_construction.py",
)
CHOSEN = ("-k", "gd or adam or middle or linear")
CELL = Cell(
    model=MODELS.get("hmm_llama"),
    dataset=DATASETS.get("hmm"),
    n_demonstrations=8,
    settings=Settings(n_sets=4, n_queries=10, n_calibration=6),
)
TIMED = ("seconds", "provenance")


def ran(folder: Path, *options: str, **environment: str) -> Ran:
    return run(folder, *CLAIMS, *GRID, *SMALL, *CHOSEN, *options, **environment)


def untimed(found: Ran) -> list[dict[str, Any]]:
    return [{k: v for k, v in r.items() if k not in TIMED} for r in found.rows]


def verdicts(found: Ran) -> list[tuple[str, str, str]]:
    return [(row["test"], row["alone"], row["verdict"]) for row in found.rows]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    found = ran(tmp_path_factory.mktemp("first"))
    assert len(found.rows) >= 20
    assert {"supported", "refuted"} <= {row["alone"] for row in found.rows}
    return found


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_a_run_measured_anew_is_the_same_to_the_last_bit(
    first: Ran, tmp_path: Path, options: tuple[str, ...]
) -> None:
    again = ran(tmp_path, *options)
    assert again.run["observations_measured"] == first.run["observations_measured"]
    assert untimed(again) == untimed(first)


def test_two_threads_say_what_one_says(first: Ran, tmp_path: Path) -> None:
    assert verdicts(ran(tmp_path, OMP_NUM_THREADS="2")) == verdicts(first)


@pytest.mark.parametrize("name", ["icl", "gd"])
def test_two_threads_answer_as_one_does_to_rounding(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "SMALL", 0)
    before = torch.get_num_threads()
    learner = InContext() if name == "icl" else GRADIENT_LEARNERS["gd"]
    answers = []
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        observer = Observer(Store(tmp_path / str(n_threads)))
        answers.append(observer.observe(Request.of(CELL, learner)).log_probs)
        assert torch.get_num_threads() == n_threads
    torch.set_num_threads(before)
    # Nats; float32 sums of a few hundred terms in another order differ by 1e-5.
    assert abs(answers[0] - answers[1]).max() < 1e-4


def test_another_seed_is_another_run(first: Ran, tmp_path: Path) -> None:
    assert untimed(ran(tmp_path, "--seed", "1")) != untimed(first)
