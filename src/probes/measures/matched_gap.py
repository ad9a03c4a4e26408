"""How far GD is from ICL in what was to be equal."""

from __future__ import annotations

from probes.measurement import Measurement
from probes.observations.observation import Observation

UNITS = {"accuracy": "fraction", "loss": "nats", "change": "probability"}


def gap_after_matching(choice: Observation, quantity: str) -> Measurement:
    """Measure a quantity of GD − that of ICL at the nearest point of GD's trajectory.

    Args:
        choice: The observation of a ``learners.matched.Match``.
        quantity: "accuracy", "loss" or "change".

    Returns:
        Shape (n_sets used, 1), the means over calibration queries; 0 is a match.
    """
    return Measurement(
        name=f"{quantity} of GD − of ICL, calibration queries",
        values=choice["gaps"],
        unit=UNITS[quantity],
        zero="a match",
    )
