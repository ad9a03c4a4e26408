"""Does ICL take a step of another rate for each input? (Preconditioned GD.)"""

from __future__ import annotations

from probes.claims import claim
from probes.measures import prediction_distance, sensitivity_cosine
from probes.observations.observation import Observation
from probes.verdicts.judge import Judge

# float64 keeps 16 digits; four are left for sums of 10 inputs, 20 terms
ROUNDING = 1e-12
CLOSE = 0.05  # as for one_layer_is_one_step: published .0225 of answers of size .91


@claim(
    on="regression",
    variants=("gd", "preconditioned_gd"),
    needs_icl=True,
    datasets=("linear_skewed",),
)
def test_preconditioned_gd(
    icl: Observation,
    gd: Observation,
    untrained_pairs: list[list[Observation]],
    judge: Judge,
) -> None:
    """On inputs of unequal variance, ICL predicts as GD does, plain or preconditioned.

    Title:
        Same with unequal variances

    Source:
        Ahn et al. 2023, arXiv:2306.00297, Theorem 1: the best one-layer network is
        preconditioned GD; Mahankali et al. 2023, arXiv:2307.03576

    Measured:
        |ŷ_ICL − ŷ_GD| over the root mean square of the answers; GD with one rate, or
        with the best rate for each input times one factor, either factor fitted

    Reported:
        exact by theory, for networks trained on these inputs

    Controls:
        a construction of either kind, which must fail as the other

    Margin:
        a twentieth of the answers' size: the published layer is .0225 from GD where
        answers are .91; on constructed networks what rounding leaves, 1e-12
    """
    judge.record(sensitivity_cosine(icl, gd))
    distance = prediction_distance(icl, gd)
    bare = [prediction_distance(*pair) for pair in untrained_pairs]
    judge.control(distance, bare, better="nearer 0")
    judge.vanishes(distance, tolerance=ROUNDING, margin=CLOSE)
