"""How far GD still is from ICL in the quantity in which they were to be matched."""

from __future__ import annotations

from probes.measurement import Measurement
from probes.observations.observation import Observation

UNITS = {"accuracy": "fraction", "loss": "nats", "change": "probability"}


def gap_after_matching(choice: Observation, quantity: str) -> Measurement:
    """Measure a quantity of GD minus that of ICL, at the best match on GD's walks.

    Args:
        choice: The observation of a ``learners.rate_choice.RateChoice`` that has the
            criterion ``likeness.Equal`` of the quantity.
        quantity: "accuracy", "loss" or "change".

    Returns:
        Means over calibration queries, shape (n_sets used, 1); 0 is a match.
    """
    facts = choice.facts
    chosen = facts[f"equal {quantity}"]
    place = facts["places"].index([chosen["rate"], chosen["passes"]])
    column = facts["criteria"].index(f"equal {quantity}")
    return Measurement(
        name=f"{quantity} of GD − of ICL, where it was matched",
        values=choice["points"][:, [place], column],
        unit=UNITS[quantity],
        zero="a match",
    )
