"""Gather curves from rows, for the figures of a paper.

Pure: rows in, numbers out. A figure reads the effects that the rows of its claim report
in addition to the verdict. So it needs only the results, and no model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from probes.report.matrix import plain, split_variant
from probes.results.rows import Row

NAME_LIMIT = 60


@dataclass(frozen=True, kw_only=True)
class Point:
    """One measured value with its interval; the interval may be missing."""

    x: float
    value: float
    low: float | None
    high: float | None


Reader = Callable[[Row], Iterable[tuple[str, float, Mapping[str, Any]]]]
Panels = dict[str, dict[str, list[Point]]]


@dataclass(frozen=True, kw_only=True)
class CurveFigure:
    """A figure of curves.

    Attributes:
        name: The file name of the figure.
        claims: The claims whose rows it reads.
        x: The label of the horizontal axis.
        y: The label of the vertical axis.
        read: Maps a row to its (line, x, effect).
        is_log: Whether the horizontal axis is logarithmic.
    """

    name: str
    claims: tuple[str, ...]
    x: str
    y: str
    read: Reader
    is_log: bool = False


def over_demonstrations(*measures: str) -> Reader:
    """Read the arms of a measure, named ``measure: arm``, over demonstrations."""

    def read(row: Row) -> Iterable[tuple[str, float, Mapping[str, Any]]]:
        variant = split_variant(row["claim"])[1]
        for effect in row["effects"][1:]:
            measure, _, arm = str(effect["name"]).partition(": ")
            if measure in measures and arm:
                own = arm in ("GD", "the learner")
                line = variant or "GD" if own else arm
                yield line, row["n_demonstrations"], effect

    return read


def over_thresholds(row: Row) -> Iterable[tuple[str, float, Mapping[str, Any]]]:
    """Read the share of small weights over the threshold for small."""
    for effect in row["effects"][1:]:
        match = re.fullmatch(
            r"share of weights below (\d[\d.e-]*)(?:: (.*))?", str(effect["name"])
        )
        if match is not None:
            yield match[2] or "the network", float(match[1]), effect


def over_layers(row: Row) -> Iterable[tuple[str, float, Mapping[str, Any]]]:
    """Read the distance of each layer to GD after the same number of steps."""
    layers = [e for e in row["effects"][1:] if e["name"] == "prediction distance"]
    for depth, effect in enumerate(layers, start=1):
        yield f"{row['n_demonstrations']} demonstrations", depth, effect


DEMONSTRATIONS = "demonstrations"
PLANS = (
    CurveFigure(
        name="order_sensitivity",
        claims=("same_order_sensitivity", "same_order_sensitivity_in_regression"),
        x=DEMONSTRATIONS,
        y="order sensitivity",
        read=over_demonstrations("order sensitivity"),
    ),
    CurveFigure(
        name="sparsity",
        claims=(
            "weights_are_sparse_as_constructed",
            "weights_are_sparse_as_constructed_in_regression",
        ),
        x="threshold",
        y="share of weights below",
        read=over_thresholds,
        is_log=True,
    ),
    CurveFigure(
        name="accuracy",
        claims=("same_accuracy",),
        x=DEMONSTRATIONS,
        y="label accuracy",
        read=over_demonstrations("label accuracy"),
    ),
    CurveFigure(
        name="token_overlap",
        claims=("same_top_tokens",),
        x=DEMONSTRATIONS,
        y="token overlap with ICL",
        read=over_demonstrations("token overlap"),
    ),
    CurveFigure(
        name="overlap_cosine_similarity",
        claims=("same_confidence",),
        x=DEMONSTRATIONS,
        y="overlap cosine similarity with ICL",
        read=over_demonstrations("overlap cosine similarity"),
    ),
    CurveFigure(
        name="layers_against_steps",
        claims=("depth_is_steps",),
        x="layer = GD step",
        y="prediction distance",
        read=over_layers,
    ),
)
"""Every figure that can be drawn."""


def panels_of(plan: CurveFigure, rows: Iterable[Row]) -> Panels:
    """Gather the curves of a figure: a panel for each model on a dataset.

    Variants of a claim repeat the arms that they share. The first one counts.
    """
    seen: dict[tuple[str, str, float], Point] = {}
    for row in rows:
        if split_variant(row["claim"])[0] not in plan.claims:
            continue
        panel = " on ".join(plain(row[k], NAME_LIMIT) for k in ("model", "dataset"))
        for line, x, effect in plan.read(row):
            if effect["value"] is not None:
                key = (panel, plain(line, NAME_LIMIT), x)
                seen.setdefault(key, _point(x, effect))
    panels: Panels = {}
    for (panel, line, _), point in sorted(seen.items(), key=_by_x):
        panels.setdefault(panel, {}).setdefault(line, []).append(point)
    return dict(sorted(panels.items()))


def _by_x(item: tuple[tuple[str, str, float], Point]) -> tuple[float, str, str]:
    panel, line, x = item[0]
    return x, panel, line


def _point(x: float, effect: Mapping[str, Any]) -> Point:
    return Point(x=x, value=effect["value"], low=effect["low"], high=effect["high"])
