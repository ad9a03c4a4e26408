"""The weights of a mixture of algorithms, in words."""

from __future__ import annotations

from probes.observations.observation import Observation


def mixture_remark(mixture: Observation) -> str:
    """List the weights of a mixture (see ``learners.algorithm_mixture``)."""
    weights = mixture.facts["weights"].items()
    return "weights: " + ", ".join(f"{name} {weight:.2f}" for name, weight in weights)
