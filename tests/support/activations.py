"""Observations of activations made by hand."""

from __future__ import annotations

from typing import Any

from probes.observations.observation import Observation

ARMS = {"icl": "icl", "gd": "ftzs", "base": "zs"}  # our name: the file's


def inside(file: dict[str, Any], arm: str, layer: int) -> Observation:
    """One layer of the file's records, as one demonstration set of 40 queries."""
    named = ARMS[arm]
    return Observation(
        arrays={
            "outputs": file[f"{named}_hidden"][None, :, layer : layer + 1],
            "maps": file[f"{named}_attn_map_leftpad0"][None, :, layer : layer + 1],
            "query_lengths": file["query_len"][None],
        }
    )


def three(file: dict[str, Any], layer: int) -> list[Observation]:
    return [inside(file, arm, layer) for arm in ARMS]
