"""The parts of the calibration study, run in parallel."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

from probes.calibration import (
    estimated_units,
    many_cells,
    several_means,
    stopping,
    study,
    whole_instrument,
)
from probes.calibration.gates import gate_error_rates
from probes.calibration.nested_groups import GROUP_SHAPES, grouped_error_rates
from probes.calibration.simulations import SIMULATIONS
from probes.calibration.study import ErrorRates


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many runs each part of the study makes."""

    runs: int
    slow_runs: int
    matrix_runs: int
    whole_runs: int
    searches: int


FULL = Sizes(runs=8000, slow_runs=1000, matrix_runs=1000, whole_runs=1000, searches=200)
QUICK = Sizes(runs=1000, slow_runs=100, matrix_runs=50, whole_runs=100, searches=25)

FEWER_GROUPED = 4
"""Factor by which fewer matrices with groups are drawn, of which many are large."""


def study_parts(sizes: Sizes) -> list[tuple[str, Callable[[], Iterable[ErrorRates]]]]:
    """List the parts of the study: a name, and a call for one process."""
    cells = partial(study.single_cells, runs=sizes.runs, slow_runs=sizes.slow_runs)
    stopped_cells = partial(stopping.stopped_cells, runs=sizes.runs)
    rivals = partial(several_means.rival_error_rates, runs=sizes.slow_runs)
    gates = partial(gate_error_rates, runs=sizes.runs)
    groups = partial(grouped_error_rates, runs=sizes.runs // FEWER_GROUPED)
    whole_matrices = partial(many_cells.corrected_matrices, runs=sizes.matrix_runs)
    return [
        *((f"cells: {w.name}", partial(cells, w)) for w in SIMULATIONS),
        *((f"matrices: {w.name}", partial(whole_matrices, w)) for w in SIMULATIONS),
        *(
            (f"few: {w.name}", partial(study.small_designs, w, runs=sizes.runs))
            for w in SIMULATIONS
        ),
        *(
            (f"interim analyses: {w.name}", partial(stopped_cells, w))
            for w in SIMULATIONS
        ),
        *((f"rivals: {w.name}", partial(rivals, w)) for w in SIMULATIONS),
        *((f"gates: {w.name}", partial(gates, w)) for w in SIMULATIONS),
        *((f"groups: {shape}", partial(groups, shape)) for shape in GROUP_SHAPES),
        (
            "units",
            partial(estimated_units.unit_error_rates, runs=sizes.runs),
        ),
        ("limits", partial(study.rare_failures, runs=sizes.runs)),
        ("ratios", partial(study.shares_of_the_way, runs=sizes.runs)),
        (
            "the whole instrument",
            partial(whole_instrument.surrogate_error_rates, runs=sizes.whole_runs),
        ),
    ]


def _done(job: Callable[[], Iterable[ErrorRates]]) -> list[ErrorRates]:
    return list(job())


def run_study(sizes: Sizes, *, processes: int, only: str = "") -> Iterator[ErrorRates]:
    """Run the parts whose names contain a text, and print the progress."""
    parts = [job for job in study_parts(sizes) if only in job[0]]
    began = time.monotonic()
    with ProcessPoolExecutor(processes) as pool:
        results = pool.map(_done, [job for _, job in parts])
        for number, ((name, _), outcomes) in enumerate(
            zip(parts, results, strict=True), start=1
        ):
            seconds = time.monotonic() - began
            line = f"[{number}/{len(parts)}, {seconds:.0f} s] {name}"
            print(line, file=sys.stderr, flush=True)
            yield from outcomes


def replace_renewed(
    old: Iterable[ErrorRates], new: Sequence[ErrorRates]
) -> list[ErrorRates]:
    """Replace old outcomes by new ones with the same rule, simulation and truth."""
    known = {_line_of(outcome) for outcome in new}
    return [*(o for o in old if _line_of(o) not in known), *new]


def _line_of(o: ErrorRates) -> tuple[str, str, int, int, str]:
    return o.rule, o.simulation, o.n_sets, o.n_queries, o.truth
