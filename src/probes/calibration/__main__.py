"""``python -m probes.calibration`` runs the study and writes its report."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from probes.calibration import many_cells, stopping, study, whole_instrument
from probes.calibration.simulations import WORLDS
from probes.calibration.study import Outcome
from probes.calibration.study_report import read_outcomes, write_summary


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


def main() -> None:
    """Run the study that the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m probes.calibration",
        description="Measure how often verdicts are wrong on worlds of known truth.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="an eighth of the runs")
    parser.add_argument(
        "--redraw", action="store_true", help="only write summary.json up again"
    )
    parser.add_argument(
        "--only", default="", metavar="TEXT",
        help="run the parts whose names hold the text, and keep the others' results",
    )  # fmt: skip
    parser.add_argument("--processes", type=int, default=2, help="worlds at once")
    parser.add_argument(
        "--folder", type=Path, default=Path("reports/calibration"), help="results"
    )
    parser.add_argument(
        "--rows", type=Path, default=Path("reports/sample/results.jsonl"),
        help="rows whose shares of variance are summed up",
    )  # fmt: skip
    given = parser.parse_args()
    if given.redraw:
        outcomes = read_outcomes(given.folder)
    else:
        sizes = QUICK if given.quick else FULL
        outcomes = list(run(sizes, processes=given.processes, only=given.only))
    if given.only:
        outcomes = renewed(read_outcomes(given.folder), outcomes)
    print(write_summary(outcomes, given.folder, rows=given.rows))


if __name__ == "__main__":
    main()
