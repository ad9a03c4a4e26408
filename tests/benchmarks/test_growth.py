"""Growth of time with queries, demonstrations, rates and sets: a picture.

Cost should be linear in new work, and what is shared should be paid once: queries share
their demonstrations, and rates of a sub-model the layers below it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
import torch

from probes.learners import GradientLearner
from tests.benchmarks.conftest import ROOT
from tests.benchmarks.llamas import Prompts, llama
from tests.benchmarks.loops import batches_of, sweep
from tests.benchmarks.quick import QUICK, least
from tests.benchmarks.sides import Table

SIZES = (1, 2) if QUICK else (1, 2, 4, 8, 16)
Series = dict[str, list[float]]


def test_growth(table: Table) -> None:
    torch.set_num_threads(1)
    model = llama("7 M")
    series: Series = {
        "ICL: × 20 queries": _times(
            lambda n: model.next_token_log_probs(Prompts.draw(8, 20 * n).in_context())
        ),
        "ICL: × 4 demonstrations": _times(
            lambda n: model.next_token_log_probs(Prompts.draw(4 * n, 40).in_context())
        ),
        "ICL: × 1 set": _times(
            lambda n: model.log_probs_of_groups(
                [Prompts.draw(8, 20, seed=s).in_context() for s in range(n)]
            )
        ),
        "GD of W_V@last: × 1 rate": _times(lambda n: _rates(model, n)),
    }
    for name, seconds in series.items():
        slope = np.polyfit(np.log(SIZES), np.log(seconds), 1)[0]
        assert slope < 1.3 or QUICK, f"{name} grows as n^{slope:.2f}: {seconds}"
    _draw(series)


def _rates(model: Any, n: int) -> Any:
    given = Prompts.draw(4, 40)
    rates = tuple(float(r) for r in np.geomspace(0.001, 0.01, n))
    learner = GradientLearner(rate=0.001, passes=2, batch_size=1, weights="W_V@last")
    assert batches_of(given, [[0, 1, 2, 3]]).n_examples == 4
    return sweep(model, learner, given, [[0, 1, 2, 3]], rates=rates)


def _times(work: Callable[[int], Any]) -> list[float]:
    found = []
    for n in SIZES:
        work(n)
        times = []
        for _ in range(least(3)):
            began = time.perf_counter()
            work(n)
            times.append(time.perf_counter() - began)
        found.append(median(times))
    return found


def _draw(series: Series) -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="pictures need the dev extra")
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "probes"  # the same file from the same times
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, seconds in series.items():
        axes.plot(SIZES, seconds, marker="o", label=name)
    axes.plot(SIZES, [0.01 * n for n in SIZES], "k:", label="linear")
    axes.set(xscale="log", yscale="log", xlabel="n", ylabel="seconds, one thread")
    axes.set_xticks(SIZES, [str(n) for n in SIZES])
    axes.minorticks_off()
    axes.legend(fontsize=8)
    name = "part.svg" if QUICK else "growth.svg"
    folder = Path(os.environ.get("PROBES_BENCHMARKS", ROOT / "reports/benchmarks"))
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / name, metadata={"Date": None})
