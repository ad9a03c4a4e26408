"""Gather curves from rows, for the figures of a paper.

Pure: rows in, numbers out. A figure reads what the rows of its claim report in addition
to the verdict, with one of the functions of :mod:`probes.report.curve_readers`. So it
needs only the results, and no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from probes.report.curve_readers import (
    Reader,
    over_demonstrations,
    over_depth,
    over_drift,
    over_layers,
    over_layers_of,
    over_passes,
    over_thresholds,
)
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
        splits_demonstrations: Whether each number of demonstrations has its own panel.
    """

    name: str
    claims: tuple[str, ...]
    x: str
    y: str
    read: Reader
    is_log: bool = False
    splits_demonstrations: bool = False


DEMONSTRATIONS, PASSES = "demonstrations", "passes over the demonstrations"
SPARSE = (
    "weights_are_sparse_as_constructed",
    "weights_are_sparse_as_constructed_in_regression",
)
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
        claims=SPARSE,
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
        read=over_depth,
    ),
    CurveFigure(
        name="accuracy_over_passes",
        claims=("same_accuracy",),
        x=PASSES,
        y="label accuracy, distance from ICL's",
        read=over_passes("equal accuracy"),
        is_log=True,
        splits_demonstrations=True,
    ),
    CurveFigure(
        name="token_overlap_over_passes",
        claims=("same_top_tokens",),
        x=PASSES,
        y="token overlap with ICL",
        read=over_passes("token_overlap", is_similarity=True),
        is_log=True,
        splits_demonstrations=True,
    ),
    CurveFigure(
        name="cosine_over_passes",
        claims=("same_confidence",),
        x=PASSES,
        y="cosine with ICL on shared tokens",
        read=over_passes("overlap_cosine", is_similarity=True),
        is_log=True,
        splits_demonstrations=True,
    ),
    CurveFigure(
        name="loss_over_passes",
        claims=("same_accuracy",),
        x=PASSES,
        y="cross-entropy of the label (nats)",
        read=over_passes("loss"),
        is_log=True,
        splits_demonstrations=True,
    ),
    CurveFigure(
        name="sparsity_by_layer",
        claims=SPARSE,
        x="layer",
        y="share of weights below .01",
        read=over_layers_of("shares"),
    ),
    CurveFigure(
        name="hoyer_by_layer",
        claims=SPARSE,
        x="layer",
        y="Hoyer's sparsity − its reference",
        read=over_layers,
    ),
    CurveFigure(
        name="drift",
        claims=("icl_survives_training_drift",),
        x="relative distance of the weights from the first checkpoint",
        y="label accuracy of ICL",
        read=over_drift,
    ),
    CurveFigure(
        name="late_drift",
        claims=("icl_survives_late_drift",),
        x="relative distance of the weights from the first late checkpoint",
        y="label accuracy of ICL",
        read=over_drift,
    ),
)
"""Every figure that can be drawn."""


def panels_of(plan: CurveFigure, rows: Iterable[Row]) -> Panels:
    """Gather the curves of a figure: a panel for each model on a dataset.

    Some figures have one for each number of demonstrations, too.

    Variants of a claim repeat the arms that they share. The first one counts.
    """
    seen: dict[tuple[str, str, float], Point] = {}
    for row in rows:
        if split_variant(row["claim"])[0] not in plan.claims:
            continue
        panel = _panel_of(plan, row)
        for line, x, effect in plan.read(row):
            if effect["value"] is not None:
                key = (panel, plain(line, NAME_LIMIT), x)
                seen.setdefault(key, _point(x, effect))
    panels: Panels = {}
    for (panel, line, _), point in sorted(seen.items(), key=_by_x):
        panels.setdefault(panel, {}).setdefault(line, []).append(point)
    return dict(sorted(panels.items()))


def _panel_of(plan: CurveFigure, row: Row) -> str:
    name = " on ".join(plain(row[k], NAME_LIMIT) for k in ("model", "dataset"))
    n = row["n_demonstrations"]
    return f"{name}, {n} demonstrations" if plan.splits_demonstrations else name


def _by_x(item: tuple[tuple[str, str, float], Point]) -> tuple[float, str, str]:
    panel, line, x = item[0]
    return x, panel, line


def _point(x: float, effect: Mapping[str, Any]) -> Point:
    return Point(x=x, value=effect["value"], low=effect["low"], high=effect["high"])
