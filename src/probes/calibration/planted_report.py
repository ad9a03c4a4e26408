"""The page of planted truths, written from finished runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from probes.calibration.planted_cells import PARTS, PlantedCells
from probes.calibration.planted_runs import PlantedRun
from probes.calibration.planted_tables import (
    PlantedCount,
    claims_table,
    count_verdicts,
    plants_table,
    wrong_lines,
)
from probes.calibration.plants import NOISE, PASSES, RATES
from probes.results.rows import write_text

PAGE, COUNTS = "planted.md", "planted.json"


def write_planted(runs: Sequence[PlantedRun], folder: Path) -> str:
    """Write ``planted.json`` and ``planted.md``, unless there are no runs.

    Returns:
        The text of the page; empty without runs.
    """
    if not runs:
        return ""
    counts = count_verdicts(runs)
    commits = sorted({run.commit or "unknown" for run in runs})
    kept = {"commits": commits, "counts": [asdict(count) for count in counts]}
    write_text(json.dumps(kept, indent=0) + "\n", folder / COUNTS)
    text = planted_page(counts, commits)
    write_text(text, folder / PAGE)
    return text


def read_planted(folder: Path) -> tuple[list[PlantedCount], list[str]]:
    """Read ``planted.json`` back: the counts, and the versions of the code."""
    kept = json.loads((folder / COUNTS).read_text("utf-8"))
    return [PlantedCount(**count) for count in kept["counts"]], kept["commits"]


def planted_page(counts: Sequence[PlantedCount], commits: Sequence[str]) -> str:
    """Write the tables of every part, and what contradicts the expectations."""
    lines = [*_introduction(counts, commits)]
    for part in PARTS.values():
        of_part = [count for count in counts if count.part == part.name]
        if of_part:
            lines += _part(part, of_part)
    return "\n".join(lines)


def _introduction(
    counts: Sequence[PlantedCount], commits: Sequence[str]
) -> Iterable[str]:
    versions = ", ".join(commit[:12] for commit in commits)
    rates = ", ".join(f"{rate:g}" for rate in RATES)
    yield "# Planted truths"
    yield ""
    yield (
        "`probes calibrate` writes this page. Every run judges the shipped claims with "
        "the shipped fixtures, but another learner answers in place of ICL or of GD. "
        "What is true is then known. The choice of GD's rate sees the planted learner "
        "too. Every seed redraws rows and tasks. Sizes and effort are the defaults "
        f"(10 sets × 40 queries). The planted GD has a rate of {rates} and {PASSES} "
        "passes, or as many steps as the network has layers. Noise is the same in "
        "every order of the demonstrations. Its standard deviation, small and large, "
        f"is {_sizes('text')} of the root mean square of what learning changes on "
        f"text, and {_sizes('regression')} of the answers' size on regression."
    )
    yield ""
    yield (
        "Verdicts are counted before the correction over a matrix, which can only "
        f"weaken them. Code: {versions}."
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
    yield f"On {datasets}, with {part.n_demonstrations} demonstrations."
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


def _sizes(family: str) -> str:
    return " and ".join(f"{sizes[family]:g}" for sizes in NOISE.values())
