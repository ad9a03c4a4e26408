"""Draw the error rates of the rules at the margin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from probes.calibration.rules import RULES
from probes.calibration.study import HOME, ErrorRates
from probes.calibration.tables import ALLOWED, cells_of_rule, shapes_of_values


def draw_error_rates(outcomes: Sequence[ErrorRates], path: Path) -> None:
    """Draw the worst error of each rule by shape of values, if matplotlib is there.

    Args:
        outcomes: The results of the study.
        path: An SVG file.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        return  # an optional extra
    shapes = shapes_of_values(outcomes)
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for rule in RULES:
        at = [
            o
            for o in cells_of_rule(outcomes, rule)
            if o.truth == "at the margin" and (o.n_sets, o.n_queries) == HOME
        ]
        worst = [
            max(o.false_supported or 0 for o in at if o.simulation.startswith(f"{s},"))
            for s in shapes
        ]
        axes.plot(shapes, [100 * w for w in worst], marker="o", label=rule)
    axes.axhline(100 * ALLOWED, color="black", linestyle=":", label="allowed")
    axes.set_ylabel("false supported at the margin, %")
    axes.set_title(
        f"Worst simulation of each shape, {HOME[0]} sets × {HOME[1]} queries"
    )
    axes.legend(fontsize=8)
    with mpl.rc_context({"svg.hashsalt": path.stem}):  # the same file every time
        figure.savefig(path, metadata={"Date": None})
