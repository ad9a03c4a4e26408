"""The parts of the calibration study, and how they are run side by side."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

from probes.calibration import many_cells, stopping, study, whole_instrument
from probes.calibration.simulations import WORLDS
from probes.calibration.study import Outcome


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many worlds are drawn for each part of the study."""

    runs: int
    slow_runs: int
    matrix_runs: int
    whole_runs: int


FULL = Sizes(runs=8000, slow_runs=1000, matrix_runs=1000, whole_runs=1000)
QUICK = Sizes(runs=1000, slow_runs=100, matrix_runs=50, whole_runs=100)


def jobs(sizes: Sizes) -> list[tuple[str, Callable[[], Iterable[Outcome]]]]:
    """List the parts of the study, each a call that one process can make."""
    cells = partial(study.cells, runs=sizes.runs, slow_runs=sizes.slow_runs)
    sequences = partial(stopping.sequences, runs=sizes.runs)
    whole_matrices = partial(many_cells.matrices, runs=sizes.matrix_runs)
    return [
        *((f"cells: {w.name}", partial(cells, w)) for w in WORLDS),
        *((f"matrices: {w.name}", partial(whole_matrices, w)) for w in WORLDS),
        *((f"few: {w.name}", partial(study.few, w, runs=sizes.runs)) for w in WORLDS),
        *((f"looks: {w.name}", partial(sequences, w)) for w in WORLDS),
        ("limits", partial(study.limits, runs=sizes.runs)),
        ("ratios", partial(study.ratios, runs=sizes.runs)),
        (
            "the whole instrument",
            partial(whole_instrument.outcomes, runs=sizes.whole_runs),
        ),
    ]


def _done(job: Callable[[], Iterable[Outcome]]) -> list[Outcome]:
    return list(job())


def run(sizes: Sizes, *, processes: int, only: str = "") -> Iterator[Outcome]:
    """Run the parts whose names hold a text, telling how far the study is."""
    parts = [job for job in jobs(sizes) if only in job[0]]
    began = time.monotonic()
    with ProcessPoolExecutor(processes) as pool:
        found = pool.map(_done, [job for _, job in parts])
        for number, ((name, _), outcomes) in enumerate(
            zip(parts, found, strict=True), start=1
        ):
            seconds = time.monotonic() - began
            told = f"[{number}/{len(parts)}, {seconds:.0f} s] {name}"
            print(told, file=sys.stderr, flush=True)
            yield from outcomes


def renewed(old: Iterable[Outcome], new: Sequence[Outcome]) -> list[Outcome]:
    """Put new outcomes in the place of old ones of the same rule, world and truth."""
    known = {_line_of(outcome) for outcome in new}
    return [*(o for o in old if _line_of(o) not in known), *new]


def _line_of(o: Outcome) -> tuple[str, str, int, int, str]:
    return o.rule, o.world, o.n_sets, o.n_queries, o.truth
