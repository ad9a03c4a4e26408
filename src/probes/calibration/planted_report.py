"""The page of planted truths, written from finished runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from probes.calibration.planted_cells import PARTS, PlantedCells
from probes.calibration.planted_runs import PlantedRun
from probes.calibration.planted_tables import (
    PlantedCount,
    claims_table,
    count_planted,
    plants_table,
    searches_table,
    wrong_lines,
)
from probes.calibration.plants import NOISE, PASSES, RATES
from probes.calibration.redrawn_sets import SETS_JUDGED
from probes.calibration.search_worlds import CLOSE, SearchCount
from probes.calibration.whole_instrument import MARGIN
from probes.results.rows import write_text

PAGE, KEPT = "planted.md", "planted.json"


@dataclass(frozen=True, kw_only=True)
class PlantedResults:
    """What the page is written from.

    Attributes:
        counts: Verdicts with planted truths.
        machines: The machines, with versions of libraries.
        searches: What became of searches for GD's rate.
    """

    counts: tuple[PlantedCount, ...] = ()
    machines: tuple[str, ...] = ()
    searches: tuple[SearchCount, ...] = ()

    def with_runs(self, runs: Sequence[PlantedRun]) -> PlantedResults:
        """Count the verdicts of runs, in place of the present ones of their plants."""
        renewed = {(run.part, run.plant) for run in runs}
        kept = [c for c in self.counts if (c.part, c.plant) not in renewed]
        machines = {run.machine for run in runs}
        return replace(
            self,
            counts=(*kept, *count_planted(runs)),
            machines=tuple(sorted(machines.union(self.machines if kept else ()))),
        )

    @classmethod
    def read(cls, folder: Path) -> PlantedResults:
        """Read ``planted.json`` back; nothing if there is no such file."""
        path = folder / KEPT
        if not path.is_file():
            return cls()
        kept = json.loads(path.read_text("utf-8"))
        return cls(
            counts=tuple(map(_count, kept["counts"])),
            machines=tuple(kept["machines"]),
            searches=tuple(SearchCount(**count) for count in kept["searches"]),
        )

    def write(self, folder: Path) -> str:
        """Write ``planted.json`` and ``planted.md``; return the page."""
        write_text(json.dumps(asdict(self), indent=0) + "\n", folder / KEPT)
        write_text(self.page(), folder / PAGE)
        return self.page()

    def page(self) -> str:
        """Write the tables of every part, and what contradicts the expectations."""
        lines = [*_introduction(self.counts, self.machines)]
        for part in PARTS.values():
            of_part = [count for count in self.counts if count.part == part.name]
            if of_part:
                lines += _part(part, of_part)
        if self.searches:
            lines += _searches(self.searches)
        return "\n".join(lines)


def _count(kept: dict[str, Any]) -> PlantedCount:
    return PlantedCount(**{**kept, "commits": tuple(kept["commits"])})


def _introduction(
    counts: Sequence[PlantedCount], machines: Sequence[str]
) -> Iterable[str]:
    rates = ", ".join(f"{rate:g}" for rate in RATES)
    yield "# Planted truths"
    yield ""
    yield (
        "`probes calibrate` writes this page. Every run judges the shipped claims with "
        "the shipped fixtures, but another learner answers in place of ICL or of GD. "
        "What is true is then known. The choice of GD's rate sees the planted learner "
        "too. Every seed redraws rows and tasks. Sizes and effort are the defaults "
        "(10 sets × 40 queries) where a part names no options. "
        f"The planted GD has a rate of {rates} and {PASSES} "
        "passes, or as many steps as the network has layers. Noise is the same in "
        "every order of the demonstrations. Its standard deviation, small and large, "
        f"is {_sizes('text')} of the root mean square of what learning changes on "
        f"text, and {_sizes('regression')} of the answers' size on regression."
    )
    yield ""
    yield (
        "Verdicts are counted before the correction over a matrix, which can only "
        "weaken them. The last column of each table names the commits that judged. "
        f"Machine: {'; '.join(machines)}."
    )
    yield ""
    yield "## What was not expected"
    yield ""
    found = list(wrong_lines(counts))
    yield from found or ["Nothing: every verdict was as expected."]
    yield ""


def _part(part: PlantedCells, counts: Sequence[PlantedCount]) -> Iterable[str]:
    models, datasets = ", ".join(part.models), ", ".join(part.datasets)
    yield f"## {part.name.capitalize()}: {models}"
    yield ""
    sizes = f" Options: `{' '.join(part.sizes)}`." if part.sizes else ""
    yield f"On {datasets}, with {part.n_demonstrations} demonstrations.{sizes}"
    if part.redraws:
        yield (
            f"Every cell is judged {part.redraws} times, each time on {SETS_JUDGED} of "
            "its sets. Draws share sets and the choice of GD's rate, so they are not "
            "independent."
        )
    yield ""
    yield from plants_table(counts)
    yield ""
    yield (
        "The same by claim. Columns have the numbers of the table above. S supported, "
        "R refuted, I inconclusive, – not applicable, E error; each with its number of "
        "cells. Verdicts that were not to happen are bold."
    )
    yield ""
    yield from claims_table(counts)
    yield ""


def _searches(searches: Sequence[SearchCount]) -> Iterable[str]:
    yield "## The search for GD's rate, begun far off"
    yield ""
    yield (
        "GD trains linear models, whose walks have a closed form "
        "(`src/probes/calibration/search_worlds.py`), with the instrument's own search "
        "at the standard effort. A search is right if it calls its optimum interior, "
        f"and is within {100 * CLOSE:g} % of the best: of the loss that brute force "
        "finds, or of the way from the untouched model to an ICL that is GD at another "
        "rate. The worst of the interior ones is shown. The claim that ICL is GD is "
        f"then judged at the search's optimum, with a margin of {MARGIN:g} of the "
        "answers' size. It is true, so *refuted* is wrong."
    )
    yield ""
    yield from searches_table(searches)
    yield ""


def _sizes(family: str) -> str:
    return " and ".join(f"{sizes[family]:g}" for sizes in NOISE.values())
