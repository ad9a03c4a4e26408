"""Read the points of a curve from a row: effects beside the verdict, and its details.

Each reader maps a row to its (line, x, effect). An effect has a ``value`` and the ends
of its interval; points of a search have no interval.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from probes.report.matrix import split_variant
from probes.results.detail_shapes import LAYER_SPARSITY, SEARCH
from probes.results.json_shapes import NUMBER
from probes.results.rows import Row
from probes.verdicts.negative_controls import UNTRAINED

Reader = Callable[[Row], Iterable[tuple[str, float, Mapping[str, Any]]]]


def over_demonstrations(*measures: str) -> Reader:
    """Read the arms of a measure, named ``measure: arm``, over demonstrations."""

    def read(row: Row) -> Iterable[tuple[str, float, Mapping[str, Any]]]:
        variant = split_variant(row["claim"])[1]
        for effect in row["effects"][1:]:
            measure, _, arm = str(effect["name"]).partition(": ")
            is_of_passes = _IN_ORDERS.fullmatch(arm) or _AFTER_PASSES.fullmatch(arm)
            if measure in measures and arm and not is_of_passes:
                own = arm in ("GD", "the learner")
                line = variant or "GD" if own else arm
                yield line, row["n_demonstrations"], effect

    return read


def after_passes(n: int) -> str:
    """Name the arm of a learner that was read after some passes."""
    return f"GD after {n} pass{'es' if n > 1 else ''}"


_AFTER_PASSES = re.compile(r"GD after (\d+) pass(?:es)?")
_IN_ORDERS = re.compile(r"ICL in \d+ orders")


def over_passes_recorded(measure: str) -> Reader:
    """Read a measure of arms named by :func:`after_passes`, and ICL's beside them."""

    def read(row: Row) -> Iterable[tuple[str, float, Mapping[str, Any]]]:
        variant = split_variant(row["claim"])[1] or "GD"
        arms = {
            arm: effect
            for effect in row["effects"][1:]
            for name, _, arm in [str(effect["name"]).partition(": ")]
            if name == measure
        }
        for arm, effect in arms.items():
            if match := _AFTER_PASSES.fullmatch(arm):
                yield variant, int(match[1]), effect
                for icl in filter(_IN_ORDERS.fullmatch, arms):
                    yield icl, int(match[1]), arms[icl]

    return read


def over_scales(measure: str, what: str) -> Reader:
    """Read arms such as "ICL, inputs × 2" over the scale of inputs or teachers."""
    named = re.compile(rf"(\w+), {what} × (\d+(?:\.\d+)?)")

    def read(row: Row) -> Iterable[tuple[str, float, Mapping[str, Any]]]:
        for effect in row["effects"][1:]:
            name, _, arm = str(effect["name"]).partition(": ")
            match = named.fullmatch(arm)
            if name == measure and match:
                yield match[1], float(match[2]), effect

    return read


def over_thresholds(row: Row) -> Iterable[tuple[str, float, Mapping[str, Any]]]:
    """Read the share of small weights over the threshold for small."""
    for effect in row["effects"][1:]:
        match = re.fullmatch(
            r"share of weights below (\d[\d.e-]*)(?:: (.*))?", str(effect["name"])
        )
        if match is not None:
            yield match[2] or "the network", float(match[1]), effect


def over_depth(row: Row) -> Iterable[tuple[str, float, Mapping[str, Any]]]:
    """Read the distance of each layer to GD after the same number of steps."""
    layers = [e for e in row["effects"][1:] if e["name"] == "prediction distance"]
    for depth, effect in enumerate(layers, start=1):
        yield f"{row['n_demonstrations']} demonstrations", depth, effect


def over_passes(criterion: str, *, is_similarity: bool = False) -> Reader:
    """Read a search's criterion over passes, at the rate that it chose.

    The values are of calibration queries. Shen et al. 2024 draw such curves for the
    whole model and for W_V of a middle and of a deep layer: the variants ``gd``,
    ``gd_middle_W_V`` and ``gd_deep_W_V``.

    Args:
        criterion: The name of the criterion, see ``probes.measures.likeness``.
        is_similarity: Whether the search minimised 1 − the measure that is drawn.
    """

    def read(row: Row) -> Iterable[tuple[str, float, Mapping[str, Any]]]:
        variant = split_variant(row["claim"])[1] or "GD"
        for search in _searches_by(criterion, row):
            line = f"{variant}, rate {search['rate']:g}"
            for rate, walked in search["curves"]:
                for passes, value in walked if rate == search["rate"] else ():
                    if value is not None:
                        shown = 1 - value if is_similarity else value
                        yield line, passes, _without_interval(shown)

    return read


def _searches_by(criterion: str, row: Row) -> Iterator[Mapping[str, Any]]:
    found = (row.get("details") or {}).get("searches")
    for search in found if isinstance(found, list) else ():
        needed = isinstance(search, dict) and {"criterion", "rate", "curves"} <= {
            *search
        }
        if needed and SEARCH.reads(search) and search["criterion"] == criterion:
            yield search


def over_layers_of(part: str) -> Reader:
    """Read a statistic of W_Q, W_K and W_V of each layer from a row's details."""

    def read(row: Row) -> Iterable[tuple[str, float, Mapping[str, Any]]]:
        held = (row.get("details") or {}).get("layer_sparsity")
        if held is None or not LAYER_SPARSITY.fits(held):
            return
        for name, values in held[part].items():
            for layer, value in enumerate(values, start=1):
                yield name, layer, _without_interval(value)

    return read


def over_layers(row: Row) -> Iterable[tuple[str, float, Mapping[str, Any]]]:
    """Read the main effect of a claim about weights, layer by layer.

    Where nothing was sampled, the axis of demonstration sets holds layers.
    """
    effect = row["effects"][0] if row["effects"] else {}
    for layer, value in enumerate(effect.get("sets") or (), start=1):
        if NUMBER.reads(value):
            yield "W_Q, W_K, W_V", layer, _without_interval(value)


def over_drift(row: Row) -> Iterable[tuple[str, float, Mapping[str, Any]]]:
    """Read the accuracy at each checkpoint over the drift of its weights."""
    arms: dict[str, dict[str, Mapping[str, Any]]] = {}
    for effect in row["effects"][1:]:
        measure, _, arm = str(effect["name"]).partition(": ")
        arms.setdefault(measure, {})[arm] = effect
    accuracies = arms.get("label accuracy", {})
    for arm, drift in arms.get("relative distance of parameters", {}).items():
        if arm in accuracies and drift["value"] is not None:
            line = f"{row['n_demonstrations']} demonstrations"
            own = arm if arm.startswith(UNTRAINED) else line
            yield own, drift["value"], accuracies[arm]


def _without_interval(value: float) -> dict[str, Any]:
    return {"value": value, "low": None, "high": None}
