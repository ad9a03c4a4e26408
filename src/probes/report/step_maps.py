"""Gather step-matching maps from rows: each layer against each number of steps.

Pure: rows in, numbers out, like :mod:`probes.report.curves`. A row has its maps in its
details, see ``step_matching`` in :mod:`probes.results.detail_shapes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from probes.report.curves import NAME_LIMIT
from probes.report.matrix import plain, split_variant
from probes.results.rows import Row


@dataclass(frozen=True, kw_only=True)
class MapFigure:
    """A figure of maps.

    Attributes:
        name: The file name of the figure.
        claims: The claims whose rows it reads.
    """

    name: str
    claims: tuple[str, ...]


STEP_MATCHING = MapFigure(name="step_matching", claims=("depth_is_steps",))


@dataclass(frozen=True, kw_only=True)
class Best:
    """The number of steps nearest to a layer, with its interval."""

    steps: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class StepMap:
    """How far each layer of a network is from an algorithm after each number of steps.

    Attributes:
        title: Network, tasks, demonstrations.
        algorithm: The algorithm that takes the steps.
        unit: The unit of the distances.
        steps: Numbers of steps, rising.
        layers: Numbers of layers, rising.
        distances: For each layer, the distance after each number of steps.
        best: For each layer, the nearest number of steps; empty if the row has none.
    """

    title: str
    algorithm: str
    unit: str
    steps: tuple[float, ...]
    layers: tuple[float, ...]
    distances: tuple[tuple[float, ...], ...]
    best: tuple[Best, ...]


def maps_of(rows: Iterable[Row]) -> dict[str, list[StepMap]]:
    """Gather the maps of a run: for each cell, one map for each algorithm.

    Variants of a claim may repeat the map of a cell. The first one counts.
    """
    found: dict[str, list[StepMap]] = {}
    for row in rows:
        if split_variant(row["claim"])[0] not in STEP_MATCHING.claims:
            continue
        held = (row.get("details") or {}).get("step_matching")
        if held is None or not is_step_matching(held):
            continue
        title = " on ".join(plain(row[k], NAME_LIMIT) for k in ("model", "dataset"))
        title += f", {row['n_demonstrations']} demonstrations"
        found.setdefault(title, _maps(title, held))
    return {title: found[title] for title in sorted(found) if found[title]}


def _maps(title: str, held: Mapping[str, Any]) -> list[StepMap]:
    return [
        StepMap(
            title=title,
            algorithm=plain(name, NAME_LIMIT),
            unit=plain(held.get("unit", "distance"), NAME_LIMIT),
            steps=tuple(held["steps"]),
            layers=tuple(held["layers"]),
            distances=tuple(map(tuple, distances)),
            best=tuple(Best(**b) for b in held.get("best", {}).get(name, ())),
        )
        for name, distances in held["algorithms"].items()
    ]


def is_step_matching(held: Any) -> bool:
    """Say whether a value is a step matching whose parts have matching sizes."""
    if not isinstance(held, Mapping) or not isinstance(held.get("unit", ""), str):
        return False
    steps, layers, by_name = (held.get(k) for k in ("steps", "layers", "algorithms"))
    if not (_are_rising(steps) and _are_rising(layers) and isinstance(by_name, dict)):
        return False
    assert steps is not None
    assert layers is not None
    shapes = all(
        isinstance(rows, list)
        and len(rows) == len(layers)
        and all(_are_distances(row, len(steps)) for row in rows)
        for rows in by_name.values()
    )
    best = held.get("best", {})
    return (
        shapes
        and isinstance(best, dict)
        and all(_are_best(line, len(layers)) for line in best.values())
    )


def _is_number(x: Any) -> bool:
    return type(x) in (int, float) and abs(x) < 1e300


def _are_rising(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) > 0
        and all(map(_is_number, values))
        and all(a < b for a, b in pairwise(values))
    )


def _are_distances(row: Any, n: int) -> bool:
    return (
        isinstance(row, list)
        and len(row) == n
        and all(_is_number(x) and x >= 0 for x in row)
    )


def _are_best(best: Any, n: int) -> bool:
    keys = ("steps", "low", "high")
    return (
        isinstance(best, list)
        and len(best) == n
        and all(isinstance(b, dict) and {*b} == {*keys} for b in best)
        and all(_is_number(b[k]) for b in best for k in keys)
    )


def least_positive(maps: Sequence[StepMap]) -> float:
    """Return the smallest distance above 0; 1 if there is none."""
    positive = [x for one in maps for row in one.distances for x in row if x > 0]
    return min(positive, default=1.0)
