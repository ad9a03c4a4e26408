"""How far GD still is from ICL in the quantity in which they were to be matched."""

from __future__ import annotations

from probes.measurement import Measurement
from probes.observations.observation import Observation

UNITS = {"accuracy": "fraction", "loss": "nats", "change": "probability"}


def gap_after_matching(choice: Observation, quantity: str) -> Measurement:
    """Measure a quantity of GD minus that of ICL, at the best match on GD's trajectory.

    Args:
        choice: The observation of a ``learners.performance_matched.Match``.
        quantity: "accuracy", "loss" or "change".

    Returns:
        Means over calibration queries, shape (n_sets used, 1); 0 is a match.
    """
    return Measurement(
        name=f"{quantity} of GD − of ICL, calibration queries",
        values=choice["gaps"],
        unit=UNITS[quantity],
        zero="a match",
    )
