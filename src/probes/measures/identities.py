"""Errors of identities, which hold for every network and are evidence of nothing."""

from __future__ import annotations

import numpy as np

from probes.measurement import Measurement
from probes.observations.observation import Observation


def patch_error(patched: Observation) -> Measurement:
    """Measure the error of a rank-one patch of an MLP, in the worst layer.

    Returns:
        ‖M_{W+ΔW}(A(x)) − M_W(A(C, x))‖ / ‖M_W(A(C, x)) − M_W(A(x))‖ of the layer in
        which it is largest; 0 is exact, 1 is as far off as no patch at all.

    Reference:
        Dherin et al. 2025, arXiv:2507.16003, Theorem 2.2.
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
