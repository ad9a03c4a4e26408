"""Whether two updates move the outputs of the same matrices in the same directions."""

from __future__ import annotations

import numpy as np

from probes.errors import ShapeError
from probes.measurement import Measurement
from probes.observations.observation import Observation


def subspace_overlap(ours: Observation, theirs: Observation) -> Measurement:
    """Measure the overlap of two updates' column spaces, (1/r)‖U₁ᵀU₂‖²_F.

    The mean over a matrix's r directions uⱼ of ours, of ‖U₂uⱼ‖², is the overlap of that
    matrix. An update is one of the whole set and has no queries, so the second axis of
    the values holds the directions of all matrices: tests then ask for a result that
    would hold in other matrices too.

    Args:
        ours: Directions of an update, from ``learners.update_directions``.
        theirs: Directions of another update of the same model.

    Returns:
        Shape (n_sets, n_matrices · r), a share in [0, 1]: 1 if the direction lies in
        the other update's column space. Two random subspaces of d dimensions share r/d
        on average, which is the chance.

    Raises:
        ShapeError: The updates are of other sets, matrices or sizes.

    Reference:
        Mishra et al. 2025, arXiv:2509.22621 (IA2): .055 for fine-tuning and IA2.
    """
    a, b = (one["directions"].astype(np.float64) for one in (ours, theirs))
    if a.shape != b.shape:
        raise ShapeError(
            f"The directions have shapes {a.shape} and {b.shape}. Expected the same "
            f"sets, matrices and sizes. Compare updates of one model in one cell."
        )
    within = a @ b.swapaxes(-1, -2)  # (n_sets, n_matrices, r, r)
    rank = a.shape[2]
    return Measurement(
        name="overlap of column spaces",
        values=(within**2).sum(axis=-1).reshape(len(a), -1),
        unit="fraction",
        zero="orthogonal updates",
        one="the same column space",
        chance=float(np.mean(rank / np.array(ours.facts["n_outputs"]))),
    )
