"""In-context answers by weights between a network's own and a construction's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from probes.cards import Construction
from probes.learners.in_context import regression_observation
from probes.learners.regression_algorithms import LinearLearner
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.models.regression.construction import LayerWeights, NetworkWeights
    from probes.observations.request import LearnerContext


@dataclass(frozen=True, kw_only=True)
class Interpolated:
    """Answer by linear self-attention with interpolated weights.

    A layer acts only through the products W_KQ = W_Q W_Kᵀ and W_PV = W_V P, and these
    only up to a factor β that moves between them: W_KQ/β, β W_PV. β makes the entry of
    W_PV that maps answer to answer the construction's. The construction is GD with as
    many steps as layers, at the rate declared or fitted to ICL on calibration tasks.

    Attributes:
        share: The construction's share of the mixture: 0 is the network, 1 is GD.

    Reference:
        von Oswald et al. 2022, arXiv:2212.07677, §3, who interpolate halfway and for
        one layer. Fixing β by that one entry is our choice.
    """

    share: float
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Answer every task with the mixed weights.

        Raises:
            NumericsError: No rate of GD gives finite predictions.
        """
        from probes.models.regression.construction import construct
        from probes.models.regression.linear_attention import LinearAttention

        gd = context.observe(LinearLearner(algorithm="gd"))
        weights = context.model.shape
        (rate,) = gd.facts["settings"]
        spec = Construction(
            algorithm="gd",
            n_inputs=weights.n_inputs,
            n_layers=len(weights.layers),
            rate=rate,
        )
        between = mix(weights, construct(spec), self.share)
        task = context.request.regression_task()
        return regression_observation(task, *LinearAttention(between).answer(task))


def mix(ours: NetworkWeights, built: NetworkWeights, share: float) -> NetworkWeights:
    """Interpolate two stacks of the same tokens, layer by layer.

    Args:
        ours: The network's weights.
        built: The construction's, whose answer-to-answer entries fix the scale.
        share: The construction's share, 0 to 1.
    """
    layers = (
        _mix_layers(a, b, share, answer=ours.n_inputs)
        for a, b in zip(ours.layers, built.layers, strict=True)
    )
    return replace(ours, layers=tuple(layers))


def _mix_layers(
    ours: LayerWeights, built: LayerWeights, share: float, *, answer: int
) -> LayerWeights:
    own, theirs = ours.W_V @ ours.P, built.W_V @ built.P
    scale = theirs[answer, answer] / own[answer, answer]
    w_kq = (1 - share) * ours.W_Q @ ours.W_K.T / scale
    w_pv = (1 - share) * scale * own + share * theirs
    identity = np.eye(len(own))
    return type(ours)(
        W_Q=w_kq + share * built.W_Q @ built.W_K.T,
        W_K=identity,
        W_V=w_pv,
        P=identity,
        skip=(1 - share) * ours.skip + share * built.skip,
    )
