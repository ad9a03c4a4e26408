"""The shipped matrix as a user runs it: cold, and again with everything stored."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.benchmarks.quick import QUICK
from tests.benchmarks.sides import Row, Table
from tests.support.running import run

COLD, WARM, LEAST_CELLS = 180.0, 15.0, 600
SMALL = ("--models", "constructed_gd_1,hmm_llama", "--demos", "8", "--sets", "5")


def test_the_matrix_cold_and_warm(table: Table, tmp_path: Path) -> None:
    options = ("claims/", "-n", "2", "--raw", *(SMALL if QUICK else ()))
    cold = run(tmp_path, *options)
    warm = [run(tmp_path, *options) for _ in range(1 if QUICK else 3)]
    cells = int(cold.run["cells"])
    assert cells >= LEAST_CELLS or QUICK
    for again in warm:
        assert (again.run["forward_passes"], again.run["observations_measured"]) == (
            0,
            0,
        )
    seconds = sorted(float(again.run["seconds"]) for again in warm)
    said = [("cold", float(cold.run["seconds"]), COLD)]
    said += [("warm", seconds[len(seconds) // 2], WARM)]
    for state, taken, most in said:
        table.add(
            Row(
                work=f"make claims, {state}, {cells} cells",
                seconds=taken,
                wanted=f"≤ {most:g} s",
                met=taken <= most and (os.cpu_count() or 1) <= 2 if not QUICK else None,
                threads=2,
                rounds=len(warm) if state == "warm" else 1,
            )
        )


@pytest.mark.skipif(QUICK, reason="needs nothing, but says nothing in small")
def test_what_is_stored_costs_nothing(table: Table, tmp_path: Path) -> None:
    """An observation asked for again takes the time to read it."""
    import time

    import probes_fixtures.datasets
    import probes_fixtures.models  # noqa: F401 - fills the registry

    from probes.cell import Settings
    from probes.engine.observer import Observer
    from probes.engine.store import Store
    from probes.learners import InContext
    from probes.observations.request import Request
    from probes.run.grid import dataset_named, model_named

    request = Request(
        learner=InContext(),
        model=model_named("text_llama"),
        dataset=dataset_named("opinions"),
        n_demonstrations=8,
        settings=Settings(),
    )
    times = []
    for _ in range(2):
        began = time.perf_counter()
        Observer(Store(tmp_path / "store")).observe(request)
        times.append(time.perf_counter() - began)
    table.add(
        Row(
            work="an observation of text_llama from the store",
            peer="measuring it",
            ratio=times[0] / times[1],
            seconds=times[1],
            peer_seconds=times[0],
        )
    )
