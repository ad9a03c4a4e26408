"""A plan says how long large models take on GPUs, and what memory they need."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import probes_fixtures.datasets
import probes_fixtures.models  # noqa: F401 - fills the registry
import pytest

from probes.cell import Settings
from probes.engine.cost_model import cost_of
from probes.engine.store import Store
from probes.learners import GradientLearner, InContext
from probes.learners.search_effort import SearchEffort
from probes.observations.request import Request
from probes.run.gpu_plan import gpu_lines, h200
from probes.run.grid import DATASETS, MODELS
from probes.run.plan import Estimator, missing_by_model

SETTINGS = Settings(n_sets=2, n_queries=4, n_calibration=4, dtype="bfloat16")
GIVEN = SearchEffort(rates=(0.1, 0.2), places=(100, 200))
GD = GradientLearner(effort=GIVEN)
SGD = replace(GD, batch_size=1)


def asked(learner: Any, model: str = "llama_7b_untrained", **changes: Any) -> Request:
    return Request(
        learner=learner,
        model=MODELS.get(model),
        dataset=DATASETS.get("headlines"),
        n_demonstrations=4,
        settings=SETTINGS,
        **changes,
    )


def lines_of(folder: Path, *requests: Request, **settings: Any) -> list[str]:
    estimator = Estimator(Store(folder))
    return gpu_lines(requests, estimator, replace(SETTINGS, **settings))


def seconds(text: str) -> list[float]:
    """Read the times on one GPU, on eight, and of the longest chain."""
    units = {"s": 1, "min": 60, "h": 3600}
    found = re.findall(r"([\d.]+) (s|min|h)\b", text)
    return [float(number) * units[unit] for number, unit in found]


def test_independent_work_is_shared_and_a_chain_is_not(tmp_path: Path) -> None:
    many = [asked(InContext(), draw=draw) for draw in range(400)]
    one, eight, longest = seconds(lines_of(tmp_path, *many)[0])
    assert one == pytest.approx(8 * eight, rel=0.2)
    assert longest < eight
    one, eight, longest = seconds(lines_of(tmp_path, asked(GD))[0])
    assert one == eight == longest  # a choice of the rate, then one training


def test_the_time_on_one_gpu_is_that_of_all_the_work(tmp_path: Path) -> None:
    requests = [asked(GD), asked(SGD), asked(SGD, order=1)]
    estimator = Estimator(Store(tmp_path))
    (missing,) = missing_by_model(requests, estimator).values()
    work = h200("bfloat16").seconds(cost_of(missing.values()).foreseen)
    one, eight, longest = seconds(lines_of(tmp_path, *requests)[0])
    assert one == pytest.approx(work, rel=0.05)
    assert eight == longest < one


def test_the_memory_is_that_of_the_dearest_training(tmp_path: Path) -> None:
    text = lines_of(tmp_path, asked(InContext()))[1]
    assert text.startswith("Each GPU needs 13 GiB for the model, and memory")
    adam = replace(GD, optimizer="adam")
    text = lines_of(tmp_path, asked(GD), asked(adam))[1]
    assert "13 GiB for the model, 38 to train all weights by gd" in text
    assert "88 to train all weights by adam" in text
    assert "38" not in lines_of(tmp_path, asked(replace(GD, weights="W_V@deep")))[1]
    single = lines_of(tmp_path, asked(GD), dtype="float32")[1]
    assert "25 GiB for the model, 26 to train" in single


def test_small_models_are_planned_for_gpus_only_on_one(tmp_path: Path) -> None:
    small = asked(InContext(), model="text_llama")
    assert lines_of(tmp_path, small) == []
    assert "text_llama together" in lines_of(tmp_path, small, device="cuda")[0]
    both = lines_of(tmp_path, small, asked(InContext()), device="cuda")
    assert "llama_7b_untrained, text_llama together" in both[0]
    assert "13 GiB" in both[1]


def test_the_speed_is_near_what_was_measured_on_an_h200() -> None:
    """Four rates of 200 steps and 200 more took 154 s (reports/benchmarks)."""
    from probes.engine.cost_model import Cost

    n_steps, n_bytes = 1000, 2 * 6_738_415_616
    measured = Cost(flops=2.276e16, moved=5.0 * n_steps * n_bytes, steps=n_steps)
    assert h200("bfloat16").seconds(measured) == pytest.approx(154, rel=0.2)
