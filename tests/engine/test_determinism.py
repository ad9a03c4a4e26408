"""Two runs of one command are one run, bit for bit, also with workers and threads.

Held on one machine: the same command twice, without workers, and with two of two
threads. Models below 16 MB run in one thread whatever is asked (see ``pool``),
so that answers in two threads are compared apart, where they agree to rounding. Other
machines and GPUs were not tried.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import probes_fixtures.datasets
import probes_fixtures.models  # noqa: F401 - fills the registry
import pytest
import torch

from probes.cell import Cell, Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import GradientLearner, InContext
from probes.models import model_cache
from probes.observations.request import Request
from probes.run.grid import DATASETS, MODELS
from tests.support.running import Ran, run

SMALL = ("--sets", "5", "--queries", "8", "--calibration", "6", "--orders", "3")
GRID = (
    "--models", "hmm_llama,constructed_gd_1,spoiled_gd_1", "--datasets", "hmm,linear",
    "--demos", "8", "--raw",
)  # fmt: skip
CLAIMS = (
    "claims/test_output.py::test_same_top_tokens",
    "claims/test_order.py",
    "claims/test_construction.py",
)
CHOSEN = ("-k", "middle or one_pass or linear")
CELL = Cell(
    model=MODELS.get("hmm_llama"),
    dataset=DATASETS.get("hmm"),
    n_demonstrations=2,
    settings=Settings(n_sets=2, n_queries=4, n_calibration=4),
)
LEARNERS = {
    "icl": InContext(),
    "gd": GradientLearner(passes=1),
}
TIMED = ("seconds", "provenance")


def ran(folder: Path, *options: str, **environment: str) -> Ran:
    return run(folder, *CLAIMS, *GRID, *SMALL, *CHOSEN, *options, **environment)


def untimed(found: Ran) -> list[dict[str, Any]]:
    return [{k: v for k, v in r.items() if k not in TIMED} for r in found.rows]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    found = ran(tmp_path_factory.mktemp("first"))
    assert len(found.rows) >= 15
    assert {"supported", "refuted"} <= {row["alone"] for row in found.rows}
    return found


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_a_run_measured_anew_is_the_same_to_the_last_bit(
    first: Ran, tmp_path: Path, options: tuple[str, ...]
) -> None:
    # One thread and two at once: these models are small, and run in one (see above).
    again = ran(tmp_path, *options, OMP_NUM_THREADS="2" if options else "1")
    assert again.run["observations_measured"] == first.run["observations_measured"]
    assert untimed(again) == untimed(first)


@pytest.mark.parametrize("name", sorted(LEARNERS))
def test_two_threads_answer_as_one_does_to_rounding(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_cache, "ONE_THREAD_BYTES", 0)
    before = torch.get_num_threads()
    learner = LEARNERS[name]
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
    claim = CLAIMS[-1]
    other = run(tmp_path, claim, *GRID, *SMALL, *CHOSEN, "--seed", "1")
    here = {row["test"]: row for row in untimed(first)}
    assert other.rows
    assert all(row != here[row["test"]] for row in untimed(other))
