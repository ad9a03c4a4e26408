"""Errors of identities, which hold for every network and are evidence of nothing."""

from __future__ import annotations

import numpy as np

from probes.measurement import Measurement
from probes.observations.observation import Observation


def patch_error(patched: Observation) -> Measurement:
    """Measure the error of rank-one patches of MLPs, in the worst layer.

    Returns:
        ‖M_{W+ΔW}(A(x)) − M_W(A(C, x))‖ / ‖M_W(A(C, x)) − M_W(A(x))‖ of the layer in
        which it is largest; 0 is exact, 1 is as far off as no patch at all. If all
        layers are patched at once, the same of each layer's output and of the logits.

    Reference:
        Dherin et al. 2025, arXiv:2507.16003, Theorem 2.2; for all layers at once
        Goldwaser et al. 2025, arXiv:2511.17864.
    """
    effects = patched["context_effects"]
    relative = patched["patch_errors"] / np.where(effects > 0, effects, 1.0)
    return Measurement(
        name="error of the rank-one patch, worst layer",
        values=relative.max(axis=-1),
        unit="context effect",
        zero="the patch is the context's effect",
        one="as far off as without a patch",
    )


def context_effect(patched: Observation) -> Measurement:
    """Measure what a context does to a query, where it does most.

    Returns:
        The largest of the norms of its effects, over the places at which a patch is
        compared with them; 0 where the context changes nothing, so that every patch
        would be exact.
    """
    return Measurement(
        name="effect of the context, largest place",
        values=patched["context_effects"].max(axis=-1),
        unit="norm",
        zero="the context changes nothing",
    )
